"""The best way to put given replicas into a few nodes, by a search that is bounded by steps. Pure.

What is best is a loss: what it costs to leave replicas out, plus what it costs to move those that
run. The search takes replica after replica, tries where it can go, and turns back as soon as what
is still free cannot hold enough of the rest to beat the best way so far. Free room that was seen
before at the same replica, at no more loss, is not looked at again; nodes that no replica can tell
apart count as the same.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cluster.placing.bound import Bound
from cluster.placing.item import Item, ways

Places = tuple[tuple[int, ...] | None, ...]
"""For each item the node of each stage, None when it is left out."""


@dataclass(frozen=True, slots=True)
class Found:
    loss: int
    places: Places


@dataclass(slots=True)
class Steps:
    """How much more may be tried: a count and no clock, so that the same input gives the same."""

    left: int

    def take(self) -> bool:
        self.left -= self.left > 0
        return self.left > 0

    @contextmanager
    def part(self, most: int) -> Iterator["Steps"]:
        """Lends some of them; what is not taken comes back."""
        lent = Steps(min(most, self.left))
        self.left -= lent.left
        yield lent
        self.left += lent.left


class Search:
    """One search; `run` once."""

    def __init__(self, free: Sequence[int], items: Sequence[Item], steps: Steps) -> None:
        self._free = list(free)
        self._items = items
        self._steps = steps
        self._bound = Bound(free, items)
        self._kinds = _kinds(len(free), items, 1 + max(free, default=0))
        self._chosen: list[tuple[int, ...] | None] = [None] * len(items)
        self._seen: dict[tuple[int, ...], int] = {}
        self._best = 0
        self._floor = 0
        self._found: Found | None = None

    def run(self, below: int) -> Found | None:
        """The best way with a loss below that one, as far as the steps reach."""
        least = self._bound.least(0, self._free)
        if least is not None and least < below:
            self._floor, self._best = least, below
            self._descend(0, 0)
        return self._found

    def _descend(self, at: int, loss: int) -> None:
        least = self._bound.least(at, self._free)
        if least is None or loss + least >= self._best or self._was_seen(at, loss):
            return
        if at == len(self._items):
            self._best = loss
            self._found = Found(loss, tuple(self._chosen))
            return
        item, tried = self._items[at], set()
        for nodes, more in self._options(item):
            if self._best <= self._floor or not self._steps.take():
                return
            way = self._kinds_of(nodes)
            if way not in tried:
                tried.add(way)
                self._chosen[at] = nodes or None
                self._shift(nodes, -item.ask.tensor)
                self._descend(at + 1, loss + more)
                self._shift(nodes, item.ask.tensor)

    def _shift(self, nodes: tuple[int, ...], accelerators: int) -> None:
        for node in nodes:
            self._free[node] += accelerators

    def _kinds_of(self, nodes: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
        """The same for ways that leave the same free room to nodes of the same kind."""
        return tuple(
            sorted((self._kinds[node] + self._free[node], nodes.count(node)) for node in set(nodes))
        )

    def _was_seen(self, at: int, loss: int) -> bool:
        state = (at, *sorted(map(int.__add__, self._kinds, self._free)))
        if self._seen.get(state, loss + 1) <= loss:
            return True
        self._seen[state] = loss
        return False

    def _options(self, item: Item) -> Iterator[tuple[tuple[int, ...], int]]:
        """Where it can go with the loss: home, elsewhere, nowhere. Home comes again elsewhere."""
        free, tensor, home = self._free, item.ask.tensor, item.home
        if home and all(free[node] >= tensor * home.count(node) for node in home):
            yield home, 0
        for nodes in ways(item.ask, free, item.allowed):
            yield nodes, item.move_loss
        if item.omit_loss is not None:
            yield (), item.omit_loss * item.ask.accelerators + item.move_loss


def _kinds(count: int, items: Sequence[Item], width: int) -> list[int]:
    """A number for each node, the same for nodes that no item can tell apart; so wide apart that
    free room can be added to it.
    """
    signs = [
        tuple((node in item.allowed, item.home.count(node)) for item in items)
        for node in range(count)
    ]
    first = {sign: kind for kind, sign in reversed(list(enumerate(signs)))}
    return [first[sign] * width for sign in signs]
