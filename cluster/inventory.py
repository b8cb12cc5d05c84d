"""The inventory: the nodes of a cluster, what each holds, and where it keeps weights.

Pure: what stands in the file, checked. Who may be reached, and how, is found out by bring-up.

Rules
1. A name and an address mean one node.
2. Every accelerator has a known amount of memory, by its kind or by a stated figure.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import Field

from cluster.accelerator import CPU_KIND, KNOWN_MEMORY_GIB, Accelerator, accelerator
from cluster.problem import Path, Problem, nearest
from cluster.strict import Strict

#: Ten times the largest 1-Click Cluster, and more than Ray was ever seen with.
MAX_NODES = 4096
MAX_ACCELERATORS = 64
#: Ray's syntax of a label's value, which an address is.
LABEL_VALUE = r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"

Label = Annotated[str, Field(pattern=LABEL_VALUE)]
Directory = Annotated[str, Field(pattern=r"^/", max_length=1024)]


class Accelerators(Strict):
    """What a node computes on; all of one kind."""

    kind: str = Field(max_length=63, min_length=1)
    count: int = Field(ge=1, le=MAX_ACCELERATORS)
    #: Of each; instead of what is known of the kind.
    memory_gib: float | None = Field(default=None, gt=0, le=4096, strict=False)

    def each(self) -> Accelerator | None:
        """One of them; None when its memory is unknown (rule 2 is broken)."""
        return accelerator(self.kind, self.memory_gib)


class Storage(Strict):
    """Roots under which a node finds weights, as `<root>/<organisation>/<name>`."""

    #: On the node's own disks; looked at first.
    local: Directory | None = None
    #: The same files on every node.
    shared: Directory | None = None

    def roots(self) -> tuple[str, ...]:
        return tuple(root for root in (self.local, self.shared) if root)


class Node(Strict):
    """A machine. What it leaves out it has from the inventory."""

    name: Label
    #: On the private network; an IPv4 address or a name, since it is a label in Ray too.
    address: Label
    accelerators: Accelerators | None = None
    storage: Storage | None = None
    labels: Mapping[Label, Label] = {}


class Inventory(Strict):
    """The nodes that a fleet may be planned on."""

    name: Label
    #: Of every node that does not say otherwise.
    accelerators: Accelerators | None = None
    storage: Storage = Storage()
    nodes: Annotated[tuple[Node, ...], Field(min_length=1, max_length=MAX_NODES, strict=False)]

    def accelerators_of(self, node: Node) -> Accelerators:
        """What this node computes on. Raises ValueError when the rules do not hold."""
        found = node.accelerators or self.accelerators
        if found is None:
            raise ValueError(f"{node.name} has no accelerators")
        return found

    def storage_of(self, node: Node) -> Storage:
        return node.storage or self.storage

    def problems(self) -> list[Problem]:
        """All that breaks a rule."""
        return list(problems(self.accelerators, self.nodes))


def problems(common: Accelerators | None, nodes: Sequence[Node | None]) -> Iterator[Problem]:
    """What breaks a rule in an inventory with these nodes; None stands for one that is wrong by
    itself and has been reported.
    """
    yield from _repeated("name", [node.name if node else None for node in nodes])
    yield from _repeated("address", [node.address if node else None for node in nodes])
    if common is not None:
        yield from _unknown(("accelerators",), common)
    for index, node in enumerate(nodes):
        at: Path = ("nodes", index)
        if node is not None and node.accelerators is not None:
            yield from _unknown((*at, "accelerators"), node.accelerators)
        elif node is not None and common is None:
            yield Problem(at, "has no `accelerators`, and the inventory names none for all")


def _repeated(key: str, values: Sequence[str | None]) -> Iterator[Problem]:
    """Rule 1; the first that has a value is right, the others are not."""
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        if value is not None and first.setdefault(value, index) != index:
            owner = f"nodes.{first[value]}"
            yield Problem(("nodes", index, key), f"`{value}` is the {key} of {owner} already")


def _unknown(at: Path, accelerators: Accelerators) -> Iterator[Problem]:
    """Rule 2."""
    if accelerators.each() is not None:
        return
    if accelerators.kind == CPU_KIND:
        yield Problem(at, "a CPU slot has the memory you give it: add `memory_gib`")
        return
    known = nearest(accelerators.kind, KNOWN_MEMORY_GIB)
    text = f"`{accelerators.kind}` is unknown{known or '; known: ' + ', '.join(KNOWN_MEMORY_GIB)}"
    yield Problem((*at, "kind"), f"{text}, or say what one has with `memory_gib`")
