"""What a request's record says once its engines have counted. Pure.

Rules
1. Tokens are those of the replica that answered: a try that was given up made tokens that nobody
   got.
2. The engine's count replaces an estimate of the gateway, never a number that the gateway has from
   the engine's own reply. Counts of one request may come one after the other: each is added.
3. Accelerator time is what all tries took together.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Source(StrEnum):
    """Where a record's tokens are from."""

    #: The engine's answer said so.
    REPLY = "reply"
    #: The engine told afterwards.
    COUNT = "count"
    #: The gateway's estimate, which stands where the replica died.
    ESTIMATE = "estimate"


@dataclass(frozen=True, slots=True)
class Cost:
    """The part of a record that engines have a word in."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    accelerator_s: float
    source: Source


@dataclass(frozen=True, slots=True)
class Counted:
    """What one replica counted for one request, all its parts together."""

    replica_id: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    accelerator_s: float


def settled(cost: Cost, replica_id: str, counts: Iterable[Counted]) -> Cost:
    """The record after these counts, which are all there are of its request; the same counts twice
    change nothing the second time.
    """
    known = tuple(counts)
    if not known:
        return cost
    settled = replace(cost, accelerator_s=sum(count.accelerator_s for count in known))
    answered = next((count for count in known if count.replica_id == replica_id), None)
    if answered is None or cost.source is Source.REPLY:
        return settled
    return replace(
        settled,
        prompt_tokens=answered.prompt_tokens,
        cached_tokens=answered.cached_tokens,
        completion_tokens=answered.completion_tokens,
        source=Source.COUNT,
    )
