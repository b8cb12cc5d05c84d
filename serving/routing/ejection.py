"""When a failure puts a replica out, seen beside the others of its set. Pure.

Rules
1. What is certain (nobody there, hung) puts out at once and without a limit: asking the dead helps
   nobody. So does a probe that failed.
2. What may be chance puts out after a row of failures, from a share of failures on, or when the
   replica fails clearly more than the others do: then it is the replica, not what is asked.
3. Rule 2 never puts out more than half of a set: what fails everywhere is no replica's fault, and
   the rest could not carry the load.
4. When nobody is left, all are asked (`filters.trusted`): a bad chance beats a refusal.
"""

from collections.abc import Sequence
from statistics import median

from serving.routing.breaker import CERTAIN, SETTLED, State, Symptom
from serving.routing.table import Slot

#: How much more than the others, as a share of answers.
OUTLIER_MARGIN = 0.15


def judge(slot: Slot, slots: Sequence[Slot], symptom: Symptom, now_s: float) -> bool:
    """Counts a failure of a replica of the set `slots`; True when it has put the replica out."""
    breaker = slot.breaker
    if symptom is Symptom.BUSY:
        return False
    breaker.failed()
    is_certain = symptom in CERTAIN or breaker.state is State.PROBING
    if is_certain or (_is_bad(slot, slots) and _may_go(slots)):
        return breaker.trip(now_s, symptom)
    return False


def _is_bad(slot: Slot, slots: Sequence[Slot]) -> bool:
    return slot.breaker.is_failing or _is_outlier(slot, slots)


def _is_outlier(slot: Slot, slots: Sequence[Slot]) -> bool:
    others = [each.breaker.failed_share for each in slots if each is not slot]
    if not others or slot.breaker.answers < SETTLED:
        return False
    return slot.breaker.failed_share - median(others) >= OUTLIER_MARGIN


def _may_go(slots: Sequence[Slot]) -> bool:
    out = sum(not each.breaker.is_closed for each in slots)
    return 2 * (out + 1) <= len(slots)
