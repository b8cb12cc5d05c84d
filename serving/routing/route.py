"""Filter, score, pick. Pure: the dice and the clock are parameters."""

from collections.abc import Callable, Collection

from serving.routing.filters import listed, ready, trusted, untried
from serving.routing.scorers import least_load
from serving.routing.table import Slot

Dice = Callable[[int], int]
"""n -> a number in [0, n)."""


def route(slots: list[Slot], tried: Collection[str], now_s: float, dice: Dice) -> Slot | None:
    """The replica to send to, or None when nobody may be asked."""
    open_slots = trusted(listed(untried(ready(slots), tried)), now_s)
    if len(open_slots) < 2:
        return open_slots[0] if open_slots else None
    return pick(open_slots, [least_load(slot) for slot in open_slots], dice)


def pick(slots: list[Slot], scores: list[float], dice: Dice) -> Slot:
    """One of the best, by chance among equals: several gateways on the same old figures must not
    agree.
    """
    best = max(scores)
    equals = [slot for slot, score in zip(slots, scores, strict=True) if score == best]
    return equals[0] if len(equals) == 1 else equals[dice(len(equals))]
