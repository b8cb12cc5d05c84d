"""The requests in flight as they are shown, the oldest first. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from ops.dashboard.view.health import Health
from serving.in_flight import InFlight, RequestInFlight, RequestPhase

#: More is not read; whoever wants a certain one asks `flotilla requests`.
MOST_SHOWN = 50

#: What it does or waits for, in words, and whether it gets on.
_PHASES = {
    RequestPhase.FIT: ("its tokens are counted", Health.WELL),
    RequestPhase.WAIT: ("waits for a replica to start", Health.BUSY),
    RequestPhase.QUEUE: ("waits for its turn", Health.BUSY),
    RequestPhase.PREFILL: ("prefill", Health.WELL),
    RequestPhase.STREAM: ("streams", Health.WELL),
    RequestPhase.COMPUTE: ("is computed", Health.WELL),
}


@dataclass(frozen=True, slots=True)
class InFlightRow:
    id: str
    age_s: float
    tenant: str
    #: The key's name, or its id where nobody knows the name.
    key: str
    model_asked: str
    model_answers: str
    replica: str
    phase: str
    health: Health
    #: None where nobody can say.
    tokens: int | None
    attempts: int


@dataclass(frozen=True, slots=True)
class InFlightView:
    rows: tuple[InFlightRow, ...] = ()
    #: Of all there are.
    total: int = 0
    #: Gateways that did not tell theirs.
    silent: tuple[str, ...] = ()


def in_flight(told: InFlight, names: Mapping[str, str]) -> InFlightView:
    """`names` are those of keys by id."""
    rows = tuple(
        _row(each, names.get(each.key_id, each.key_id)) for each in told.requests[:MOST_SHOWN]
    )
    return InFlightView(rows, told.total, told.silent)


def _row(request: RequestInFlight, key: str) -> InFlightRow:
    phase, health = _PHASES[request.phase]
    return InFlightRow(
        id=request.id,
        age_s=request.age_s,
        tenant=request.tenant,
        key=key,
        model_asked=request.model_asked,
        model_answers=request.model_answers,
        replica=request.replica_id,
        phase=phase,
        health=health,
        tokens=request.tokens,
        attempts=request.attempts,
    )
