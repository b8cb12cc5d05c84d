"""Requests in flight, one by one, as a gateway tells them to whoever asks: values only, no I/O.

They are looked up when somebody looks and reported to nobody: on its way no request does anything
for it. Only so many are told, the oldest: those are the ones that somebody may have to ask about.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

#: Where a gateway tells them, on its private port.
PATH = "/requests"
#: Of one gateway, and of all together.
MOST_TOLD = 100


class RequestPhase(StrEnum):
    """Where a request is, in the order of its way."""

    #: Its tokens are counted, to find a model that they fit.
    FIT = "fit"
    #: No replica serves its model yet, and one will come.
    WAIT = "wait"
    #: All replicas have what they can run.
    QUEUE = "queue"
    #: A replica has it, and there is no token yet.
    PREFILL = "prefill"
    #: Tokens come.
    STREAM = "stream"
    #: A replica has it; a whole answer shows nothing of itself before its end.
    COMPUTE = "compute"


@dataclass(frozen=True, slots=True)
class RequestInFlight:
    """One request, as its gateway sees it at this moment."""

    id: str
    key_id: str
    tenant: str
    model_asked: str
    #: As far as it is known: another one after a fallback.
    model_answers: str
    #: Of the try under way, or of the last; empty before the first.
    replica_id: str
    phase: RequestPhase
    age_s: float
    #: Made so far, as the gateway counts them; None where nobody can say.
    tokens: int | None
    #: Tries begun.
    attempts: int


@dataclass(frozen=True, slots=True)
class InFlight:
    """The oldest requests in flight, the oldest first."""

    requests: tuple[RequestInFlight, ...] = ()
    #: Of all there are.
    total: int = 0
    #: The gateways that did not tell theirs.
    silent: tuple[str, ...] = ()

    @property
    def untold(self) -> int:
        """How many there are beside those that are told."""
        return self.total - len(self.requests)


NOTHING_IN_FLIGHT = InFlight()


def together(told: Iterable[InFlight], silent: Iterable[str] = ()) -> InFlight:
    """What several gateways told, as one."""
    every = tuple(told)
    requests = sorted(
        (request for each in every for request in each.requests), key=lambda each: -each.age_s
    )
    total = sum(each.total for each in every)
    return InFlight(tuple(requests[:MOST_TOLD]), total, tuple(silent))
