"""A replica that a search puts somewhere, and where it could go. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from cluster.placing.ask import Ask


@dataclass(frozen=True, slots=True)
class Item:
    """A replica to put; nodes are numbers within the group."""

    ask: Ask
    allowed: tuple[int, ...]
    #: Where it runs, () when it does not or when that is not in the group.
    home: tuple[int, ...]
    #: The loss when it is put elsewhere.
    move_loss: int
    #: What each of its accelerators adds to that when it is left out; None: it may not be.
    omit_loss: int | None


def ways(ask: Ask, free: Sequence[int], allowed: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Every place in that free room, stages on few nodes first, tight fits first."""
    fitting = sorted((n for n in allowed if free[n] >= ask.tensor), key=free.__getitem__)
    if ask.spread or ask.pipeline == 1:
        yield from combinations(fitting, ask.pipeline)
        return
    holds = [(node, free[node] // ask.tensor) for node in fitting]
    for parts in range(1, ask.pipeline + 1):
        yield from _splits(ask.pipeline, parts, holds)


def _splits(stages: int, parts: int, holds: Sequence[tuple[int, int]]) -> Iterator[tuple[int, ...]]:
    """The ways to put stages on so many of these nodes. Those that hold most are the last: so it is
    known beforehand whether there is a way.
    """
    if parts == stages == 0:
        yield ()
    if not 0 < parts <= stages <= sum(most for _, most in holds[-parts:]):
        return
    for at, (node, most) in enumerate(holds[: len(holds) - parts + 1]):
        for share in range(min(most, stages - parts + 1), 0, -1):
            for others in _splits(stages - share, parts - 1, holds[at + 1 :]):
                yield (node,) * share + others
