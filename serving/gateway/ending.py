"""How a job ended, for its usage record. Pure."""

from serving.errors import ApiError
from serving.gateway.sse import EventFilter, Tokens
from serving.usage import Outcome


def unfinished(*, is_gone: bool, is_started: bool) -> Outcome:
    """What a job without an answer ended as, by what became of its client."""
    if is_gone:
        return Outcome.CLIENT_GONE
    return Outcome.CUT if is_started else Outcome.REFUSED


def refused_by(error: ApiError, attempts: int, *, is_started: bool) -> Outcome | None:
    """The engine, where it was asked and found the request wrong; None: as it ended."""
    is_fault_of_request = error.row.status < 500 and not is_started
    return Outcome.REFUSED_BY_ENGINE if attempts and is_fault_of_request else None


def is_estimated(
    outcome: Outcome, attempts: int, events: EventFilter | None, tokens: Tokens | None
) -> bool:
    """Whether an engine may have made tokens that it has not told us of; `tokens` are those of a
    whole answer, None where there was none.
    """
    if not attempts or outcome is Outcome.REFUSED_BY_ENGINE:
        return False
    return tokens is None if events is None else events.tokens is None
