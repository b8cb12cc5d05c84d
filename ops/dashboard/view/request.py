"""Requests that have ended, each with its story in a sentence. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deployments.ledger.lines import UsageLine
from ops.dashboard.view.health import Health
from serving.usage import Outcome

_HEALTHS = {
    Outcome.COMPLETE: Health.WELL,
    Outcome.CLIENT_GONE: Health.BUSY,
    Outcome.REFUSED_BY_ENGINE: Health.BUSY,
}
_ENDS = {
    Outcome.COMPLETE: "complete",
    Outcome.CUT: "cut after its first byte: the client has an error event",
    Outcome.CLIENT_GONE: "the client left",
    Outcome.REFUSED_BY_ENGINE: "the engine refused it",
    Outcome.REFUSED: "refused",
    Outcome.FAILED: "a fault of ours: see the gateway's log",
}


@dataclass(frozen=True, slots=True)
class RequestView:
    id: str
    at_s: float
    #: The key's name, or its id where nobody knows the name.
    key: str
    tenant: str
    model_asked: str
    model_answered: str
    health: Health
    outcome: str
    duration_s: float
    tokens: int
    story: str


def requests(lines: Iterable[UsageLine], names: Mapping[str, str]) -> tuple[RequestView, ...]:
    """In the order of the lines; `names` are those of keys by id."""
    return tuple(_request(line, names.get(line.key_id, line.key_id)) for line in lines)


def matching(views: Iterable[RequestView], text: str, most: int) -> tuple[RequestView, ...]:
    """The first that say `text` anywhere, in any case."""
    wanted, found = text.casefold(), []
    for view in views:
        if wanted in _said(view).casefold():
            found.append(view)
            if len(found) == most:
                break
    return tuple(found)


def _said(view: RequestView) -> str:
    said = (view.id, view.key, view.tenant, view.model_asked, view.outcome, view.story)
    return "\n".join(said)


def _request(line: UsageLine, key: str) -> RequestView:
    return RequestView(
        id=line.request_id,
        at_s=line.started_s,
        key=key,
        tenant=line.tenant,
        model_asked=line.model_asked,
        model_answered=line.model_answered,
        health=_HEALTHS.get(line.outcome, Health.ILL),
        outcome=line.outcome.value,
        duration_s=line.duration_s,
        tokens=line.prompt_tokens + line.completion_tokens,
        story=_story(line),
    )


def _story(line: UsageLine) -> str:
    said = [f"asked {line.model_asked}"]
    if line.model_answered not in ("", line.model_asked):
        said.append(f"fell back to {line.model_answered}")
    if line.replica_id:
        said.append(f"{line.replica_id} was sent it")
    if line.attempts > 1:
        said.append(f"the last of {line.attempts} tries")
    said.append(_ENDS[line.outcome])
    cached = f", {line.cached_tokens:,} of them cached" if line.cached_tokens else ""
    if line.prompt_tokens or line.completion_tokens:
        tokens = f"{line.prompt_tokens:,} prompt tokens{cached}, {line.completion_tokens:,} made"
        said.append(f"{tokens}{' (our own count)' if line.is_estimated else ''}")
    return "; ".join(said)
