"""Makes room for asks that fit nowhere: puts the replicas of a few nodes anew. Pure.

With few nodes in all they are put anew together, and the answer is the best there is as far as the
steps reach. Something changes only when more is placed, or when something important is placed for
something less important.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cluster.placing.ask import Ask
from cluster.placing.board import Board
from cluster.placing.groups import FEW_NODES, Group, groups
from cluster.placing.item import Item
from cluster.placing.packing import Hardness, hardness
from cluster.placing.repacking import Places, Search, Steps
from cluster.placing.rights import LEFT_OUT, Rights

#: Asks that are considered together, so that one can go for two that fill more.
TOGETHER = 16
#: Steps of one search over a group of many nodes, and of all searches until the board is settled. A
#: step takes about 4 microseconds.
GROUP_STEPS = 6_000
ALL_STEPS = 50_000
#: Replicas that are lifted at once: the search goes a call deeper for each.
MOST_LIFTED = 256


@dataclass(frozen=True, slots=True)
class Change:
    """Replicas of a few nodes and where they go."""

    gain: int
    group: Group
    items: Sequence[Item]
    places: Places

    def apply(self, board: Board) -> None:
        for item in self.items:
            if item.ask.replica in board.places:
                board.lift(item.ask)
        for item, nodes in zip(self.items, self.places, strict=True):
            if nodes is not None:
                board.put(item.ask, tuple(self.group[node] for node in nodes))


@dataclass(frozen=True, slots=True)
class Repair:
    """Of one board, with the same rights for all asks."""

    board: Board
    rights: Rights
    steps: Steps

    def make_room(self, left: Sequence[Ask]) -> list[Ask]:
        """Places what it can; returns the asks of this priority that have no place then."""
        waiting = list(left)
        if not any(self.board.free) and self.rights.may_stop_from is None:
            return waiting
        hopeless: set[object] = set()
        while ask := next((ask for ask in waiting if ask.shape not in hopeless), None):
            together = [ask, *(other for other in waiting if other is not ask)][:TOGETHER]
            change = self._best_change(together)
            if change is None:
                hopeless.update(one.shape for one in (together if self._is_small else [ask]))
            else:
                change.apply(self.board)
                waiting = self._without_place([*waiting, *(item.ask for item in change.items)])
        return waiting

    def _without_place(self, asks: Iterable[Ask]) -> list[Ask]:
        known = {ask.replica: ask for ask in asks if ask.priority == self.rights.priority}
        return [ask for replica, ask in known.items() if replica not in self.board.places]

    @property
    def _is_small(self) -> bool:
        """Whether a search sees all nodes: then what it finds for one ask holds for the others."""
        return len(self.board.names) <= FEW_NODES

    def _best_change(self, wanted: Sequence[Ask]) -> Change | None:
        """Around the first of them."""
        enough = LEFT_OUT * wanted[0].accelerators
        best: Change | None = None
        for group in groups(self.board, wanted[0], self.rights):
            best = self._change(group, wanted, best.gain if best else 0) or best
            if not self.steps.left or (best and best.gain >= enough):
                break
        return best

    def _change(self, group: Group, wanted: Sequence[Ask], gain: int) -> Change | None:
        """What gains most in that group, and more than that."""
        lifted = self.rights.liftable(self.board, group)
        if not 0 < len(lifted) <= MOST_LIFTED:
            return None
        free = {node: self.board.free[node] for node in group}
        for ask in lifted:
            for node in self.board.places[ask.replica]:
                free[node] += ask.tensor
        items = [self._item(ask, group) for ask in self._hardest_first([*lifted, *wanted])]
        loss = sum(map(self._present_loss, items))
        with self.steps.part(self.steps.left if self._is_small else GROUP_STEPS) as steps:
            found = Search(list(free.values()), items, steps).run(below=loss - gain)
        return Change(loss - found.loss, group, items, found.places) if found else None

    def _hardest_first(self, asks: Iterable[Ask]) -> list[Ask]:
        """By stage and not by replica: here the stages of one may part."""

        def key(ask: Ask) -> tuple[int, bool, Hardness, tuple[str, int, str]]:
            return -ask.tensor, not ask.spread, hardness(self.board, ask), ask.natural_name

        return sorted(asks, key=key)

    def _item(self, ask: Ask, group: Group) -> Item:
        home = self.rights.homes.get(ask.replica, ())
        is_wanted = ask.replica not in self.board.places
        names = (self.board.names[node] for node in group)
        return Item(
            ask=ask,
            allowed=tuple(at for at, name in enumerate(names) if ask.may_use(name)),
            home=tuple(group.index(node) for node in home) if set(home) <= set(group) else (),
            move_loss=ask.accelerators if home else 0,
            omit_loss=LEFT_OUT if is_wanted else self.rights.omit_loss(ask),
        )

    def _present_loss(self, item: Item) -> int:
        nodes = self.board.places.get(item.ask.replica)
        if nodes is None:
            return LEFT_OUT * item.ask.accelerators + item.move_loss
        return self.rights.move_loss(item.ask, nodes)
