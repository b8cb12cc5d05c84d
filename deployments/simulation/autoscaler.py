"""Looks at the demand every few seconds and has the real autoscaling decide; the real plan follows.
Pure.
"""

from collections import Counter
from dataclasses import dataclass, field
from statistics import fmean

from deployments.autoscale import LOOK_PERIOD_S, Change, Decision, autoscale
from deployments.counts import Counts
from deployments.demand import Demand
from deployments.observation import FIRST_TOKEN_SHARE
from deployments.pool import pool_of
from deployments.scaling_state import ScalingState
from deployments.simulation.cluster import Cluster
from deployments.simulation.record import Record
from deployments.terms import Terms, terms_of


@dataclass(frozen=True, slots=True)
class Decided:
    """A change that autoscaling made, and when."""

    at_s: float
    change: Change


@dataclass(slots=True, eq=False)
class Autoscaler:
    """What it remembers between two looks."""

    cluster: Cluster
    terms: dict[str, Terms] = field(init=False)
    scaling: ScalingState = field(default_factory=ScalingState)
    decided: list[Decided] = field(default_factory=list)
    _seen_records: int = 0
    _seen_arrivals: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.terms = terms_of(self.cluster.site.fleet, self.cluster.needs)

    @property
    def has_a_choice(self) -> bool:
        """Whether any model may have more replicas than it must."""
        return any(terms.min < terms.max for terms in self.terms.values())

    def set(self, counts: dict[str, int]) -> None:
        """After something else decided: the first plan, a node."""
        self.scaling = self.scaling.with_counts(counts, self.cluster.agenda.now_s)

    def look(self) -> None:
        """One look, and what follows from it."""
        cluster, now_s = self.cluster, self.cluster.agenda.now_s
        pool = pool_of(cluster.inventory, cluster.needs, cluster.running)
        decision = autoscale(self.terms, pool, self._demands(), self.scaling, now_s)
        self.scaling = decision.scaling
        self.decided += [Decided(now_s, change) for change in decision.changes]
        if decision.changes:
            self._follow(decision)

    def _follow(self, decision: Decision) -> None:
        counts = Counts(decision.scaling.counts(), frozenset(decision.leaving))
        self.set(self.cluster.follow(counts).counts())

    def _demands(self) -> dict[str, Demand]:
        gateway = self.cluster.gateway
        before, self._seen_arrivals = self._seen_arrivals, Counter(gateway.came)
        new = gateway.records[self._seen_records :]
        self._seen_records = len(gateway.records)
        return {
            model: self._demand(model, (gateway.came[model] - before[model]) / LOOK_PERIOD_S, new)
            for model in self.terms
        }

    def _demand(self, model: str, arrivals_per_s: float, new: list[Record]) -> Demand:
        replicas = self.cluster.of(model)
        loads = [replica.load for replica in replicas]
        firsts = sorted(
            record.first_token_s
            for record in new
            if record.replica_set == model and record.first_token_s is not None
        )
        queued, waiting_tokens = self.cluster.gateway.waiting(model)
        return Demand(
            ready=len(replicas),
            running=sum(load.running for load in loads),
            waiting=sum(load.waiting for load in loads),
            queued=queued,
            tokens_in_flight=waiting_tokens
            + sum(replica.engine.tokens_in_flight for replica in replicas),
            kv_use=fmean(load.kv_use for load in loads) if loads else 0.0,
            arrivals_per_s=arrivals_per_s,
            first_token_s=firsts[int(FIRST_TOKEN_SHARE * (len(firsts) - 1))] if firsts else None,
        )
