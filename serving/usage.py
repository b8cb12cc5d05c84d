"""One record per accepted request, whatever became of it; what it is made of where its gateway
died; and what an engine counted of one.
"""

from enum import StrEnum

import msgspec

from serving.money import Price


class Outcome(StrEnum):
    """How an accepted request ended."""

    COMPLETE = "complete"
    #: Failed after the first byte; the client has an error event. Or a replica had it when its
    #: gateway was killed, and the client's connection broke.
    CUT = "cut"
    CLIENT_GONE = "client_gone"
    #: The engine answered with a refusal of the request itself.
    REFUSED_BY_ENGINE = "refused_by_engine"
    #: We refused it after accepting: no replica, too long, deadline.
    REFUSED = "refused"
    #: A bug of ours.
    FAILED = "failed"


class UsageRecord(msgspec.Struct, frozen=True):
    """What was asked and what it cost. Tokens are the engine's own count, of a cut stream its
    events.
    """

    request_id: str
    key_id: str
    model_asked: str
    model_answered: str
    replica_id: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    outcome: Outcome
    #: Wall clock, seconds.
    started_s: float
    duration_s: float
    attempts: int
    #: Whose key it was.
    tenant: str = ""
    #: A replica was asked and did not say how many tokens: the gateway's own count stands, until
    #: the replica's comes.
    is_estimated: bool = False
    #: Of the model that answered, when it did; None where it has none.
    price: Price | None = None


class Sent(msgspec.Struct, frozen=True, array_like=True):
    """A request as it goes to a replica: what its record is made of should its gateway be killed.
    Made for every request, so no more than that.
    """

    request_id: str
    key_id: str
    tenant: str
    model_asked: str
    model_answered: str
    replica_id: str
    #: Wall clock, seconds.
    started_s: float
    attempts: int
    price: Price | None = None

    def lost(self) -> UsageRecord:
        """The connection of its client broke; what the replica made is told by the replica."""
        return UsageRecord(
            request_id=self.request_id,
            key_id=self.key_id,
            model_asked=self.model_asked,
            model_answered=self.model_answered,
            replica_id=self.replica_id,
            prompt_tokens=0,
            completion_tokens=0,
            cached_tokens=0,
            outcome=Outcome.CUT,
            started_s=self.started_s,
            duration_s=0.0,
            attempts=self.attempts,
            tenant=self.tenant,
            is_estimated=True,
            price=self.price,
        )


class EngineCount(msgspec.Struct, frozen=True):
    """What one engine made for one request, also where nobody waited for the end. A request with
    several prompts or answers has several.
    """

    replica_id: str
    #: Counts of this replica are numbered from 0, so that one that is told twice is known.
    number: int
    request_id: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    #: The replica's accelerators times the time it worked, shared equally at every moment between
    #: the requests it had.
    accelerator_s: float
