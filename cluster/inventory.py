"""The inventory: the nodes of a cluster, what each holds, where it keeps weights, and how bring-up
reaches it.

Pure: what stands in the file, checked. Whether a node can be reached is found out by bring-up.

The head is written in one of two forms, which no reader can take for each other: `head: node-1` is
a node of the list, and holds replicas like the others; `head: {name: head-1, address: 172.26.0.10}`
is a machine of its own, such as a management node, that has no accelerators and holds none. So
`nodes` are at all times those that a fleet may be planned on. Those that are not the head are
workers.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from cluster.accelerator import Accelerator, accelerator
from cluster.login import NodeSsh, Ssh
from cluster.strict import Strict

#: Ten times the largest 1-Click Cluster, and more than Ray was ever seen with.
MAX_NODES = 4096
MAX_ACCELERATORS = 64
#: Ray's syntax of a label's value, which an address is.
LABEL_VALUE = r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"

#: The two forms of a head, as pydantic's locations name them; no key of a file reads like these.
LISTED, MACHINE = "<name>", "<machine>"

Label = Annotated[str, Field(pattern=LABEL_VALUE)]
#: What Linux calls a network interface.
Interface = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,14}$")]
Directory = Annotated[str, Field(pattern=r"^/[^\x00-\x1f]*$", max_length=1024)]


class Accelerators(Strict):
    """What a node computes on; all of one kind."""

    #: `cpu`, or the name of a GPU.
    kind: str = Field(max_length=63, min_length=1)
    #: On each node.
    count: int = Field(ge=1, le=MAX_ACCELERATORS)
    #: GiB of each; instead of what is known of the kind.
    memory_gib: float | None = Field(default=None, gt=0, le=4096)

    def each(self) -> Accelerator | None:
        """One of them; None when its memory is unknown, which a rule forbids."""
        return accelerator(self.kind, self.memory_gib)


class Storage(Strict):
    """Roots under which a node finds weights, as `<root>/<organisation>/<name>`."""

    #: On the node's own disks; looked at first.
    local: Directory | None = None
    #: The same files on every node.
    shared: Directory | None = None

    def roots(self) -> tuple[str, ...]:
        return tuple(root for root in (self.local, self.shared) if root)


class Machine(Strict):
    """What bring-up logs in to. What it leaves out it has from the inventory."""

    #: What plans and messages call it.
    name: Label
    #: On the private network; an IPv4 address or a name, since it is a label in Ray too.
    address: Label
    #: Where its login differs from the others'.
    ssh: NodeSsh | None = None
    #: That it reaches the others by.
    interface: Interface | None = None


class Node(Machine):
    """A machine with accelerators."""

    #: Instead of those of the inventory.
    accelerators: Accelerators | None = None
    #: Instead of that of the inventory.
    storage: Storage | None = None
    #: For `node_labels` of a fleet's models.
    labels: Mapping[Label, Label] = {}


def _form(head: Any) -> str:
    return MACHINE if isinstance(head, Mapping | Machine) else LISTED


Head = Annotated[
    Annotated[Label, Tag(LISTED)] | Annotated[Machine, Tag(MACHINE)], Discriminator(_form)
]


class Inventory(Strict):
    """The nodes that a fleet may be planned on, and the head that they join."""

    #: Of the cluster.
    name: Label
    #: Only bring-up needs one.
    head: Head | None = None
    #: How every machine is logged in to.
    ssh: Ssh = Ssh()
    #: That nodes reach each other by; without it bring-up takes the one that leads to the head.
    interface: Interface | None = None
    #: Of every node that does not say otherwise.
    accelerators: Accelerators | None = None
    #: Where every node that does not say otherwise finds weights.
    storage: Storage = Storage()
    #: The machines that a fleet may be planned on.
    nodes: Annotated[tuple[Node, ...], Field(min_length=1, max_length=MAX_NODES, strict=False)]

    def accelerators_of(self, node: Node) -> Accelerators:
        """What this node computes on. Raises ValueError when the rules do not hold."""
        found = node.accelerators or self.accelerators
        if found is None:
            raise ValueError(f"{node.name} has no accelerators")
        return found

    def storage_of(self, node: Node) -> Storage:
        return node.storage or self.storage

    def head_machine(self) -> Machine | None:
        """Where Ray's head runs. Raises ValueError when the rules do not hold."""
        if not isinstance(self.head, str):
            return self.head
        listed = next((node for node in self.nodes if node.name == self.head), None)
        if listed is None:
            raise ValueError(f"{self.head} is no node")
        return listed

    def workers(self) -> tuple[Node, ...]:
        """The nodes that join the head."""
        return tuple(node for node in self.nodes if node.name != self.head)

    def ssh_of(self, machine: Machine) -> Ssh:
        return self.ssh.with_own(machine.ssh)

    def interface_of(self, machine: Machine) -> str | None:
        return machine.interface or self.interface
