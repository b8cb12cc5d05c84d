"""What is known of each model just now, from what gateways and replicas report. Pure.

Rules
1. Rates and percentiles are of the last window: the difference of two sums over all gateways.
   Nothing is guessed: without two sums, or without any stream, there is none.
2. A public model has what its clients saw; a replica set has what its engines do. Several models
   may share a set.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from serving import histogram
from serving.counts import ModelCounts, Times, Totals
from serving.snapshot import DemandReport, GatewayReport, Phase, ReplicaReport
from serving.usage import Outcome

#: What figures are of: a minute, as those see it who look at a page.
WINDOW_S = 60.0
#: Between two sums that are kept.
STEP_S = 5.0
#: A gateway silent for so long starts anew when it comes back.
FORGET_S = 600.0
#: What a client would call a failure: it got less than an answer, by no fault of its own.
ERRORS = (Outcome.CUT, Outcome.FAILED, Outcome.REFUSED)


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """Of the requests for a public model that ended within the window, about `WINDOW_S`."""

    model: str
    window_s: float
    requests: int
    errors: int
    #: Whose client left before the end.
    left: int
    fallbacks: int
    retries: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    #: Of completions.
    tokens_per_s: float
    first_token_p50_s: float | None
    first_token_p99_s: float | None
    between_tokens_p50_s: float | None
    between_tokens_p99_s: float | None
    duration_p50_s: float | None
    duration_p99_s: float | None


@dataclass(frozen=True, slots=True)
class SetFigures:
    """What the replicas of a model do at this moment, and what waits for them."""

    replica_set: str
    replicas: int
    ready: int
    #: Requests in engines, and waiting inside them.
    running: int
    waiting: int
    #: Requests that wait in gateways.
    queued: int
    #: The mean of the ready replicas, a share in [0, 1].
    kv_use: float
    tokens_per_s: float


@dataclass(slots=True)
class Traffic:
    """The sums of all gateways over the last window. Mutable: one owner, the Controller."""

    totals: Totals = field(default_factory=Totals)
    _sums: deque[tuple[float, Mapping[str, ModelCounts]]] = field(default_factory=deque)

    def add(self, report: GatewayReport, now_s: float) -> None:
        """Takes a gateway's newest word."""
        self.totals.add(report.gateway_id, report.counts, now_s)
        if not self._sums or now_s - self._sums[-1][0] >= STEP_S:
            self.totals.forget(now_s, FORGET_S)
            self._sums.append((now_s, dict(self.totals.by_model)))
            while len(self._sums) > 1 and now_s - self._sums[1][0] >= WINDOW_S:
                self._sums.popleft()

    def figures(self, now_s: float) -> tuple[ModelFigures, ...]:
        """Of every model that was ever asked for, by name."""
        if not self._sums:
            return ()
        began_s, before = self._sums[0]
        return tuple(
            _of_model(counts.minus(before.get(model, ModelCounts(model))), now_s - began_s)
            for model, counts in sorted(self.totals.by_model.items())
        )


def _of_model(came: ModelCounts, window_s: float) -> ModelFigures:
    return ModelFigures(
        model=came.model,
        window_s=window_s,
        requests=came.requests,
        errors=came.ended_as(*ERRORS),
        left=came.ended_as(Outcome.CLIENT_GONE),
        fallbacks=came.fallbacks,
        retries=came.retries,
        prompt_tokens=came.prompt_tokens,
        cached_tokens=came.cached_tokens,
        completion_tokens=came.completion_tokens,
        tokens_per_s=came.completion_tokens / window_s if window_s else 0.0,
        first_token_p50_s=_percentile(came.first_tokens, 0.5),
        first_token_p99_s=_percentile(came.first_tokens, 0.99),
        between_tokens_p50_s=_percentile(came.between_tokens, 0.5, histogram.TOKEN_BOUNDS_S),
        between_tokens_p99_s=_percentile(came.between_tokens, 0.99, histogram.TOKEN_BOUNDS_S),
        duration_p50_s=_percentile(came.durations, 0.5),
        duration_p99_s=_percentile(came.durations, 0.99),
    )


def _percentile(
    times: Times, share: float, bounds_s: tuple[float, ...] = histogram.BOUNDS_S
) -> float | None:
    return histogram.percentile(times.counts, share, bounds_s)


def of_sets(
    replicas: Iterable[ReplicaReport], gateways: Iterable[GatewayReport]
) -> tuple[SetFigures, ...]:
    """Of every replica set with a replica or with requests that wait for one, by name."""
    there: dict[str, list[ReplicaReport]] = {}
    for replica in replicas:
        there.setdefault(replica.replica_set, []).append(replica)
    queued: dict[str, int] = {}
    for demand in _demands(gateways):
        queued[demand.replica_set] = queued.get(demand.replica_set, 0) + demand.queued
    names = sorted(there.keys() | queued.keys())
    return tuple(of_set(name, there.get(name, []), queued.get(name, 0)) for name in names)


def _demands(gateways: Iterable[GatewayReport]) -> Iterable[DemandReport]:
    return (demand for gateway in gateways for demand in gateway.demands)


def of_set(name: str, replicas: Sequence[ReplicaReport], queued: int) -> SetFigures:
    """Of one, from its own replicas."""
    ready = [each.load for each in replicas if each.phase is Phase.READY]
    return SetFigures(
        replica_set=name,
        replicas=len(replicas),
        ready=len(ready),
        running=sum(load.running for load in ready),
        waiting=sum(load.waiting for load in ready),
        queued=queued,
        kv_use=sum(load.kv_use for load in ready) / len(ready) if ready else 0.0,
        tokens_per_s=sum(load.tokens_per_s for load in ready),
    )
