"""What must hold between the parts of an inventory. Pure.

Rules
1. A name and an address mean one machine.
2. Every accelerator has a known amount of memory, by its kind or by a stated figure.
3. A head that is a name is a node of the list; one that is a machine is not.
"""

from collections.abc import Iterator, Sequence

from cluster.accelerator import CPU_KIND, KNOWN_MEMORY_GIB
from cluster.inventory import Accelerators, Inventory, Machine, Node
from cluster.problem import Path, Problem, nearest

#: None stands for a node that is wrong by itself and has been reported.
Nodes = Sequence[Node | None]


def problems(inventory: Inventory) -> Iterator[Problem]:
    """All that breaks a rule."""
    yield from machine_problems(inventory.head, inventory.nodes)
    yield from accelerator_problems(inventory.accelerators, inventory.nodes)


def machine_problems(head: str | Machine | None, nodes: Nodes) -> Iterator[Problem]:
    """Rules 1 and 3."""
    yield from _repeated("name", [node.name if node else None for node in nodes])
    yield from _repeated("address", [node.address if node else None for node in nodes])
    if isinstance(head, Machine):
        yield from _also_listed(head, nodes)
    elif head is not None:
        yield from _nowhere(head, nodes)


def _also_listed(head: Machine, nodes: Nodes) -> Iterator[Problem]:
    for index, node in enumerate(nodes):
        for key in ("name", "address"):
            if node is not None and getattr(node, key) == getattr(head, key):
                text = f"`{getattr(head, key)}` is the {key} of nodes.{index} already"
                fix = f"a head that is a node of the list is `head: {node.name}`"
                yield Problem(("head", key), f"{text}: {fix}")


def _nowhere(head: str, nodes: Nodes) -> Iterator[Problem]:
    names = [node.name for node in nodes if node is not None]
    # One that is wrong by itself may be the head.
    if head in names or len(names) < len(nodes):
        return
    fix = f"{nearest(head, names)}; one without accelerators is `head: {{name: ..., address: ...}}`"
    yield Problem(("head",), f"`{head}` is no node of the list{fix}")


def accelerator_problems(common: Accelerators | None, nodes: Nodes) -> Iterator[Problem]:
    """Rule 2."""
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
    if accelerators.each() is not None:
        return
    if accelerators.kind == CPU_KIND:
        yield Problem(at, "a CPU slot has the memory you give it: add `memory_gib`")
        return
    known = nearest(accelerators.kind, KNOWN_MEMORY_GIB)
    text = f"`{accelerators.kind}` is unknown{known or '; known: ' + ', '.join(KNOWN_MEMORY_GIB)}"
    yield Problem((*at, "kind"), f"{text}, or say what one has with `memory_gib`")
