"""Who holds the accelerators of each node, and for how long. Pure.

Rules
1. No accelerator is held twice, and none of a node that has left.
2. What is asked for is held as a whole or not at all.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping

from deployments.simulation.replica import Replica


class Accelerators:
    """All nodes of an inventory; some may be away."""

    def __init__(self, by_node: Mapping[str, int]) -> None:
        self._free = dict(by_node)
        self.total = sum(by_node.values())
        self._held: Counter[str] = Counter()
        self._since_s = 0.0
        #: Accelerator-seconds that each model has held so far.
        self.seconds: defaultdict[str, float] = defaultdict(float)
        #: (when, model, accelerators from then on).
        self.changes: list[tuple[float, str, int]] = []

    @property
    def free(self) -> Mapping[str, int]:
        """By node, of those that are there."""
        return self._free

    @property
    def held(self) -> Mapping[str, int]:
        """By model."""
        return self._held

    def hold(self, replica: Replica, now_s: float) -> bool:
        """Takes the accelerators of every stage; False when they are not all free."""
        wanted = self._wanted(replica)
        if any(self._free.get(node, 0) < count for node, count in wanted.items()):
            return False
        for node, count in wanted.items():
            self._free[node] -= count
        self._change(replica, now_s, 1)
        return True

    def release(self, replica: Replica, now_s: float) -> None:
        """Gives them back, those of nodes that are there."""
        for node, count in self._wanted(replica).items():
            if node in self._free:
                self._free[node] += count
        self._change(replica, now_s, -1)

    def leave(self, node: str) -> None:
        """The node is away; whatever ran there has released the others."""
        del self._free[node]

    def join(self, node: str, count: int) -> None:
        """The node is there, and empty."""
        self._free[node] = count

    def settle(self, now_s: float) -> None:
        """Counts the time up to now."""
        for model, count in self._held.items():
            self.seconds[model] += count * (now_s - self._since_s)
        self._since_s = now_s

    def _wanted(self, replica: Replica) -> Counter[str]:
        wanted: Counter[str] = Counter()
        for node in replica.nodes:
            wanted[node] += replica.shape.tensor
        return wanted

    def _change(self, replica: Replica, now_s: float, sign: int) -> None:
        self.settle(now_s)
        self._held[replica.model] += sign * replica.shape.accelerators
        self.changes.append((now_s, replica.model, self._held[replica.model]))
