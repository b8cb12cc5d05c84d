"""How many requests, and how much of prompts, a gateway may have at the replicas of a model, so
that what waits does so here, where turns are fair, and not in an engine, where they are not. Pure.

An engine runs what it gets in the order in which it came. So it gets what it can run at once and a
few more, for the moment between an end and the next start. Prompts are bounded apart: an engine
computes them one after the other, and a first token comes behind all that are before it.
"""

from collections.abc import Iterable
from math import inf

from serving.fairness.claim import Places
from serving.routing.capacity import LEAST_SHARE
from serving.routing.table import Slot

#: Beside what runs.
AHEAD_SHARE = 1 / 16
#: Of one replica: a step or a few of its engine, which is never without the next.
PROMPT_TOKENS = 8_192.0
NO_BOUND = Places(inf, inf)


def places(slots: Iterable[Slot], now_s: float) -> Places:
    """No bound where nobody may be asked, or an engine does not say how many it runs."""
    requests = prompt_tokens = 0.0
    for slot in slots:
        if not slot.is_ready or slot.unlisted_s or slot.breaker.out_until_s > now_s:
            continue
        share = max(1.0 - slot.others_share, LEAST_SHARE)
        most = slot.capacity.running * (1 + AHEAD_SHARE)
        requests += max(0.0, min(most - slot.others, most * share))
        prompt_tokens += PROMPT_TOKENS * share
    return Places(requests, prompt_tokens) if prompt_tokens else NO_BOUND
