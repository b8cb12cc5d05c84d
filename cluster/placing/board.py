"""Which replica has which accelerators while places are sought. Pure.

Nodes are numbers here: their position in the given order. They stand on shelves by the room that
is free on them, those in use apart from the empty ones, so that the best fit is found without
looking at every node.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cluster.placing.ask import Ask, Room

Nodes = tuple[int, ...]
"""The node of each stage, in stage order."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What the nodes that an ask may use are, when they are empty."""

    nodes: Nodes
    #: Accelerators of the largest of them.
    largest: int


class Board:
    """Rooms with the replicas that have been put into them."""

    def __init__(self, rooms: Sequence[Room]) -> None:
        self.names = [room.node for room in rooms]
        self.total = [room.accelerators for room in rooms]
        self.free = list(self.total)
        self.places: dict[str, Nodes] = {}
        self.residents: list[dict[str, Ask]] = [{} for _ in rooms]
        #: Replicas of each model by node.
        self._models: list[dict[str, int]] = [{} for _ in rooms]
        self._reaches: dict[frozenset[str] | None, Reach] = {}
        sizes = range(max(self.total, default=0) + 1)
        self._used: list[list[int]] = [[] for _ in sizes]
        self._empty: list[list[int]] = [[] for _ in sizes]
        for node in range(len(rooms)):
            self._shelf(node).append(node)

    def put(self, ask: Ask, nodes: Nodes) -> None:
        self.places[ask.replica] = nodes
        for node in dict.fromkeys(nodes):
            self._unshelve(node)
            self.free[node] -= ask.tensor * nodes.count(node)
            self.residents[node][ask.replica] = ask
            models = self._models[node]
            models[ask.model] = models.get(ask.model, 0) + 1
            insort(self._shelf(node), node)

    def lift(self, ask: Ask) -> Nodes:
        """Takes it off and says where it was."""
        nodes = self.places.pop(ask.replica)
        for node in dict.fromkeys(nodes):
            self._unshelve(node)
            self.free[node] += ask.tensor * nodes.count(node)
            del self.residents[node][ask.replica]
            self._models[node][ask.model] -= 1
            insort(self._shelf(node), node)
        return nodes

    def fits(self, ask: Ask, nodes: Nodes) -> bool:
        return all(self.free[node] >= ask.tensor * nodes.count(node) for node in nodes)

    def holds(self, node: int, model: str) -> int:
        """Replicas of that model on that node."""
        return self._models[node].get(model, 0)

    def is_used(self, node: int) -> bool:
        return bool(self.residents[node])

    def used_with_free(self, free: int) -> Sequence[int]:
        """Nodes in use with exactly that much free room."""
        return self._used[free] if free < len(self._used) else ()

    def candidates(self, ask: Ask, need: int) -> Iterator[int]:
        """Nodes with that much free room, the best first: in use before empty, the tightest fit,
        without a replica of the model, the lower number. Valid until the next put or lift.
        """
        for shelves in (self._used, self._empty):
            for free in range(need, len(shelves)):
                yield from self._without_model_first(shelves[free], ask)

    def reach(self, ask: Ask) -> Reach:
        if ask.nodes not in self._reaches:
            usable = [node for node, name in enumerate(self.names) if ask.may_use(name)]
            largest = max((self.total[node] for node in usable), default=0)
            self._reaches[ask.nodes] = Reach(tuple(usable), largest)
        return self._reaches[ask.nodes]

    def named(self) -> Mapping[str, tuple[str, ...]]:
        """Places by the names of nodes."""
        return {
            replica: tuple(self.names[node] for node in nodes)
            for replica, nodes in self.places.items()
        }

    def _without_model_first(self, shelf: list[int], ask: Ask) -> Iterator[int]:
        with_model = []
        for node in shelf:
            if ask.may_use(self.names[node]):
                if self.holds(node, ask.model):
                    with_model.append(node)
                else:
                    yield node
        yield from with_model

    def _shelf(self, node: int) -> list[int]:
        return (self._used if self.is_used(node) else self._empty)[self.free[node]]

    def _unshelve(self, node: int) -> None:
        shelf = self._shelf(node)
        del shelf[bisect_left(shelf, node)]
