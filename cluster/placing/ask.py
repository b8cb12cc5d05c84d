"""What placement is asked: the room on each node, and the replicas that want a place. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Room:
    """One node before placing; what is not to be planned is already taken off."""

    node: str
    accelerators: int

    def __post_init__(self) -> None:
        if self.accelerators < 0:
            raise ValueError(f"{self.node} has {self.accelerators} accelerators")


@dataclass(frozen=True, slots=True)
class Ask:
    """One replica that wants a place."""

    #: Unique, "<model>.<n>".
    replica: str
    model: str
    #: Accelerators of one stage; they are on one node.
    tensor: int
    #: Stages.
    pipeline: int
    #: Each stage on a node of its own.
    spread: bool = False
    #: The nodes whose accelerators can hold it; None: all.
    nodes: frozenset[str] | None = None
    #: Where its stages run now, () when it does not run.
    current: tuple[str, ...] = ()
    #: Whether it may go on there although not all of that is in `nodes`.
    may_stay: bool = False
    #: Lower is placed first when not all fit.
    priority: int = 0

    def __post_init__(self) -> None:
        if self.tensor < 1 or self.pipeline < 1:
            raise ValueError(f"{self.replica} has a shape of {self.tensor} x {self.pipeline}")

    @property
    def accelerators(self) -> int:
        return self.tensor * self.pipeline

    @property
    def shape(self) -> tuple[int, int, bool, frozenset[str] | None]:
        """Asks of one shape fit into the same places."""
        return self.tensor, self.pipeline, self.spread, self.nodes

    @property
    def natural_name(self) -> tuple[str, int, str]:
        """Sorts "m.10" behind "m.9"."""
        return self.model, len(self.replica), self.replica

    def may_use(self, node: str) -> bool:
        return self.nodes is None or node in self.nodes


def require_unique(rooms: Iterable[Room], asks: Iterable[Ask]) -> None:
    _require_once("node", [room.node for room in rooms])
    _require_once("replica", [ask.replica for ask in asks])


def _require_once(kind: str, names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        twice, _ = Counter(names).most_common(1)[0]
        raise ValueError(f"{kind} {twice} is named more than once")
