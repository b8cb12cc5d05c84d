"""What a search must lose at least, so that it can turn back early. Pure."""

from collections.abc import Sequence

from cluster.placing.item import Item


class Bound:
    """The least loss that the items from one on must still cause, by what room is left.

    Two parts: what does not fit into what stages can fill of each node is left out, and what does
    not fit at home any more moves.
    """

    def __init__(self, free: Sequence[int], items: Sequence[Item]) -> None:
        nothing = [[0] * (room + 1) for room in free]
        self._rest, self._sums, self._cheapest = [0], [1], [0]
        self._fillable, self._leaving = [nothing], [nothing]
        fills, stays = [1] * len(free), [1] * len(free)
        for item in reversed(items):
            self._add_omission(item)
            self._fillable.append(self._with_fills(item, fills, free))
            self._leaving.append(self._with_stays(item, stays, free))
        for table in (self._rest, self._sums, self._cheapest, self._fillable, self._leaving):
            table.reverse()

    def least(self, at: int, free: Sequence[int]) -> int | None:
        """None: what must be put cannot be."""
        room = moved = 0
        for fillable, leaving, left in zip(
            self._fillable[at], self._leaving[at], free, strict=True
        ):
            room += fillable[left]
            moved += leaving[left]
        shortage = self._rest[at] - room
        if shortage <= 0:
            return moved
        omitted = _least_sum(self._sums[at], shortage)
        return None if omitted is None else moved + omitted * self._cheapest[at]

    def _add_omission(self, item: Item) -> None:
        """What there is to put, which sums of it may be left out, and the least one costs."""
        size, sums, cheapest = item.ask.accelerators, self._sums[-1], self._cheapest[-1]
        self._rest.append(self._rest[-1] + size)
        if item.omit_loss is not None:
            cheapest = min(cheapest or item.omit_loss, item.omit_loss)
            sums |= sums << size
        self._sums.append(sums)
        self._cheapest.append(cheapest)

    def _with_fills(self, item: Item, fills: list[int], free: Sequence[int]) -> list[list[int]]:
        """For each node and free room the most of it that stages from here on can fill."""
        tables = list(self._fillable[-1])
        for node in dict.fromkeys((*item.allowed, *item.home)):
            before = fills[node]
            for _ in range(1 if item.ask.spread else item.ask.pipeline):
                fills[node] |= fills[node] << item.ask.tensor
            fills[node] &= (2 << free[node]) - 1
            if fills[node] != before:
                tables[node] = [_most_sum(fills[node], room) for room in range(free[node] + 1)]
        return tables

    def _with_stays(self, item: Item, stays: list[int], free: Sequence[int]) -> list[list[int]]:
        """For each node and free room the least that must leave of what is at home there."""
        tables = list(self._leaving[-1])
        for node in set(item.home):
            stays[node] |= stays[node] << item.ask.tensor * item.home.count(node)
            total = stays[node].bit_length() - 1
            tables[node] = [
                _least_sum(stays[node], max(0, total - room)) or 0 for room in range(free[node] + 1)
            ]
        return tables


def _most_sum(sums: int, most: int) -> int:
    """The largest in a set of sums, kept as bits, that is not more."""
    return (sums & (2 << most) - 1).bit_length() - 1


def _least_sum(sums: int, least: int) -> int | None:
    """The smallest that is not less."""
    enough = sums >> least
    return least + (enough & -enough).bit_length() - 1 if enough else None
