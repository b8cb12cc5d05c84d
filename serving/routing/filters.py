"""Which replicas may be asked at all."""

from collections.abc import Collection, Iterable

from serving.routing.table import Slot


def ready(slots: Iterable[Slot]) -> list[Slot]:
    return [slot for slot in slots if slot.is_ready]


def untried(slots: list[Slot], tried: Collection[str]) -> list[Slot]:
    return [slot for slot in slots if slot.replica_id not in tried]


def trusted(slots: list[Slot], now_s: float) -> list[Slot]:
    """Leaves out the suspects, unless that leaves nobody: then a suspect beats a refusal."""
    return [slot for slot in slots if slot.suspect_until_s <= now_s] or slots


def listed(slots: list[Slot]) -> list[Slot]:
    """Prefers what the newest snapshot names; what it lost is asked only when it names nobody."""
    return [slot for slot in slots if not slot.unlisted_s] or slots


def may_be_asked(slots: list[Slot], tried: Collection[str], now_s: float) -> list[Slot]:
    """All of these in turn; empty only when no replica is ready and untried."""
    # What nearly every request finds, in one pass: nobody has to be put up with.
    best = [
        slot
        for slot in slots
        if slot.is_ready
        and not slot.unlisted_s
        and slot.suspect_until_s <= now_s
        and slot.replica_id not in tried
    ]
    return best or trusted(listed(untried(ready(slots), tried)), now_s)
