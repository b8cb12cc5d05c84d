"""What gateways and replicas report becomes the demand of each model. Pure.

Rules
1. Gateways report counts since their start. What came in between is the difference of two tallies,
   of those gateways alone that are in both: one that is new, or was away, adds nothing for a while.
2. Without two tallies, or without any gateway, nobody knows any demand.
3. A replica that was not heard of lately makes its model's demand unknown.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from deployments.demand import Demand
from deployments.figures import of_set
from serving import histogram
from serving.snapshot import DemandReport, GatewayReport, Phase, ReplicaReport

#: What first tokens and arrivals are counted over: long enough for some to be there, short enough
#: to see what a new replica has changed.
WINDOW_S = 15.0
#: Of first tokens; the target is for nine of ten.
FIRST_TOKEN_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Tally:
    """The counts of all gateways at one moment, by gateway and replica set."""

    at_s: float
    counts: Mapping[tuple[str, str], DemandReport]


@dataclass(frozen=True, slots=True)
class Reports:
    """The newest word of everyone."""

    replicas: tuple[ReplicaReport, ...]
    gateways: tuple[GatewayReport, ...]
    #: The ids of those replicas that were not heard of lately.
    silent: frozenset[str] = frozenset()

    @property
    def silent_sets(self) -> frozenset[str]:
        """The replica sets of which a replica was not heard of lately."""
        return frozenset(r.replica_set for r in self.replicas if r.replica_id in self.silent)


def ready_in(reports: Reports) -> frozenset[str]:
    """The replicas that say they are, and said so lately: one that was killed says nothing more."""
    return frozenset(
        each.application
        for each in reports.replicas
        if each.phase is Phase.READY and each.replica_id not in reports.silent
    )


def tallied(past: Collection[Tally], reports: Reports, now_s: float) -> tuple[Tally, ...]:
    """The tallies of the window with the newest one, and the last one before the window."""
    counts = {
        (gateway.gateway_id, each.replica_set): each
        for gateway in reports.gateways
        for each in gateway.demands
    }
    kept = [tally for tally in past if tally.at_s <= now_s]
    inside = [tally for tally in kept if now_s - tally.at_s < WINDOW_S]
    before = kept[-len(inside) - 1 : len(kept) - len(inside)]
    return (*before, *inside, Tally(now_s, counts))


def observe(
    models: Iterable[str], reports: Reports, tallies: tuple[Tally, ...]
) -> dict[str, Demand | None]:
    """The demand of each model; None where nobody knows it."""
    is_known = len(tallies) > 1 and bool(reports.gateways)
    silent = reports.silent_sets
    return {
        model: _demand(model, reports, tallies) if is_known and model not in silent else None
        for model in models
    }


def _demand(model: str, reports: Reports, tallies: tuple[Tally, ...]) -> Demand:
    replicas = [each for each in reports.replicas if each.replica_set == model]
    counts = [
        each
        for gateway in reports.gateways
        for each in gateway.demands
        if each.replica_set == model
    ]
    now = of_set(model, replicas, sum(each.queued for each in counts))
    came = list(_came(model, tallies[0], tallies[-1]))
    elapsed_s = tallies[-1].at_s - tallies[0].at_s
    first_tokens = histogram.total(tokens for _, tokens in came)
    return Demand(
        ready=now.ready,
        running=now.running,
        waiting=now.waiting,
        queued=now.queued,
        tokens_in_flight=sum(each.tokens_in_flight for each in counts),
        kv_use=now.kv_use,
        arrivals_per_s=sum(arrivals for arrivals, _ in came) / elapsed_s if elapsed_s else 0.0,
        first_token_s=histogram.percentile(first_tokens, FIRST_TOKEN_SHARE),
    )


def _came(model: str, old: Tally, new: Tally) -> Iterator[tuple[int, list[int]]]:
    """Arrivals and first tokens in between, of each gateway that is in both."""
    for (gateway, replica_set), now in new.counts.items():
        before = old.counts.get((gateway, replica_set))
        if replica_set == model and before is not None:
            tokens = zip(now.first_tokens, before.first_tokens, strict=False)
            yield now.arrivals - before.arrivals, [late - early for late, early in tokens]
