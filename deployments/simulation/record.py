"""What became of each request. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from deployments.simulation.trace import Arrival


class Ending(StrEnum):
    """Every request has exactly one."""

    ANSWERED = "answered"
    #: Its replica was gone before the end of the answer.
    CUT = "cut"
    #: No window and no cache that it may go to holds it.
    TOO_LONG = "too long"
    #: Every replica that was asked had its queue full, or the gateways had theirs.
    OVERLOADED = "overloaded"
    #: Nobody began with it within its deadline.
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Record:
    """One request."""

    arrival: Arrival
    #: Whose replicas it went to, or would have gone to.
    replica_set: str
    ending: Ending
    #: Since it came.
    ended_s: float
    first_token_s: float | None = None
    #: Of its prompt, in the cache.
    found_tokens: int = 0

    @property
    def is_answered(self) -> bool:
        return self.ending is Ending.ANSWERED

    @property
    def token_s(self) -> float | None:
        """Between two tokens; None where there were none."""
        if self.first_token_s is None or self.arrival.output_tokens < 2:
            return None
        return (self.ended_s - self.first_token_s) / (self.arrival.output_tokens - 1)
