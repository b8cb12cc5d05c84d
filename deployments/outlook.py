"""When a model without replicas would have one, for the requests that wait for it. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from deployments.autoscale import GROW_AFTER_S
from deployments.fleet import Fleet
from deployments.scaling_state import ScalingState
from serving.snapshot import Outlook

#: Of a model whose start nobody has seen yet.
UNKNOWN_START_S = 120.0


@dataclass(frozen=True, slots=True)
class Starts:
    """How long replicas take to come up."""

    #: Those that start, and since when.
    since_s: Mapping[str, float] = field(default_factory=dict)
    #: The last start of each model.
    took_s: Mapping[str, float] = field(default_factory=dict)

    def seen(self, starting: Collection[str], up: Collection[str], now_s: float) -> "Starts":
        """With these replicas starting, and those up."""
        took = {
            replica.rpartition(".")[0]: now_s - since_s
            for replica, since_s in self.since_s.items()
            if replica in up and now_s >= since_s
        }
        since = {replica: self.since_s.get(replica, now_s) for replica in starting}
        return replace(self, since_s=since, took_s={**self.took_s, **took})

    def late(self, now_s: float, limit_s: float) -> frozenset[str]:
        """The replicas that have been starting for longer."""
        return frozenset(name for name, at_s in self.since_s.items() if now_s - at_s > limit_s)


def outlooks(
    fleet: Fleet, scaling: ScalingState, starts: Starts, now_s: float
) -> tuple[Outlook, ...]:
    """Of every model that may be without replicas."""
    return tuple(
        Outlook(name, _ready_in_s(name, scaling, starts, now_s))
        for name, model in fleet.served().items()
        if not model.replicas.min
    )


def _ready_in_s(model: str, scaling: ScalingState, starts: Starts, now_s: float) -> float:
    takes_s = starts.took_s.get(model, UNKNOWN_START_S)
    began_s = [at_s for name, at_s in starts.since_s.items() if name.rpartition(".")[0] == model]
    if began_s:
        return max(1.0, takes_s - (now_s - min(began_s)))
    state = scaling.models.get(model)
    pause_s = 0.0 if state is None else max(0.0, state.paused_until_s - now_s)
    return round(pause_s + GROW_AFTER_S + takes_s, 0)
