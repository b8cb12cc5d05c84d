"""Which replicas may be asked at all."""

from collections.abc import Collection, Iterable

from serving.routing.capacity import has_room
from serving.routing.table import Slot


def ready(slots: Iterable[Slot]) -> list[Slot]:
    return [slot for slot in slots if slot.is_ready]


def untried(slots: list[Slot], tried: Collection[str]) -> list[Slot]:
    return [slot for slot in slots if slot.replica_id not in tried]


def trusted(slots: list[Slot], now_s: float) -> list[Slot]:
    """Leaves out whose breaker is open, unless that leaves nobody: then all are asked."""
    return [slot for slot in slots if slot.breaker.out_until_s <= now_s] or slots


def listed(slots: list[Slot]) -> list[Slot]:
    """Prefers what the newest snapshot names; what it lost is asked only when it names nobody."""
    return [slot for slot in slots if not slot.unlisted_s] or slots


def roomy(slots: list[Slot]) -> list[Slot]:
    """Prefers whoever has room; what was admitted goes to somebody, room or not."""
    return [slot for slot in slots if has_room(slot)] or slots


def is_alone(slot: Slot, slots: Iterable[Slot], tried: Collection[str] = ()) -> bool:
    """Whether no other replica is left of which an answer can be expected."""
    others = (each for each in slots if each is not slot and each.replica_id not in tried)
    return not any(each.is_ready and each.is_listed and each.breaker.is_closed for each in others)


def may_be_asked(slots: list[Slot], tried: Collection[str], now_s: float) -> list[Slot]:
    """All of these in turn; empty only when no replica is ready and untried."""
    # What nearly every request finds, in one pass: nobody has to be put up with.
    best = [
        slot
        for slot in slots
        if slot.is_ready
        and not slot.unlisted_s
        and slot.breaker.out_until_s <= now_s
        and has_room(slot)
        and (not tried or slot.replica_id not in tried)
    ]
    return best or roomy(trusted(listed(untried(ready(slots), tried)), now_s))
