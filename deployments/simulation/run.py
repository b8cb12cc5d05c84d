"""Plays a trace on a fleet: the same input gives the same outcome, byte for byte. Pure.

Rules
1. Every request that comes has one ending; the run is over when all have theirs.
2. The fleet is up, at what it has at least, when the first request comes.
3. Nodes come and go as the events say; the real plan follows, and autoscaling is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from deployments.autoscale import LOOK_PERIOD_S
from deployments.counts import Counts
from deployments.render import DEADLINE_S
from deployments.simulation.accelerators import Accelerators
from deployments.simulation.agenda import Agenda
from deployments.simulation.autoscaler import Autoscaler, Decided
from deployments.simulation.cluster import Cluster, Site
from deployments.simulation.engine import Engine
from deployments.simulation.event import NodeEvent, What
from deployments.simulation.gateway import Gateway, public_models
from deployments.simulation.prefix_cache import PrefixCache
from deployments.simulation.record import Record
from deployments.simulation.service_time import ServiceTime
from deployments.simulation.trace import Arrival, Trace
from serving.routing.route import Dice

#: What real replicas say four times a second; between two of them little changes.
REPORT_PERIOD_S = 1.0


@dataclass(frozen=True, slots=True)
class Case:
    """What is played, and on what."""

    site: Site
    #: Of one replica of each model with replicas of its own.
    times: Mapping[str, ServiceTime]
    trace: Trace
    events: tuple[NodeEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    records: tuple[Record, ...]
    #: When the last request had its ending.
    ended_s: float
    accelerators: Accelerators
    decided: tuple[Decided, ...]
    #: Requests that lost their place in a cache.
    preempted: int


def simulate(case: Case, dice: Dice) -> Outcome:
    """Plays the case. Raises FleetBlocked when the fleet does not fit."""
    run = _Run(case, dice)
    run.begin()
    while run.is_open and run.agenda.step():
        pass
    return run.outcome()


class _Run:
    """One case under way."""

    def __init__(self, case: Case, dice: Dice) -> None:
        self._case = case
        self._engines: list[Engine] = []
        self._coming = iter(case.trace.arrivals)
        self._left = len(case.trace.arrivals)
        self.agenda = Agenda()
        self._gateway = Gateway(
            agenda=self.agenda,
            models=public_models(case.site.fleet),
            dice=dice,
            routing=case.site.fleet.gateway.routing,
            block_tokens=case.trace.block_tokens,
        )
        self._cluster = Cluster(
            site=case.site,
            agenda=self.agenda,
            gateway=self._gateway,
            engine=self._engine,
            start_s=lambda model: case.times[model].start_s,
        )
        self._autoscaler = Autoscaler(self._cluster)

    @property
    def is_open(self) -> bool:
        return bool(self._left or self._gateway.unsettled)

    def begin(self) -> None:
        """Everything that will happen by itself."""
        self._autoscaler.set(self._cluster.begin().counts())
        for event in self._case.events:
            self.agenda.at(event.at_s, partial(self._happen, event))
        if self._autoscaler.has_a_choice:
            self.agenda.at(LOOK_PERIOD_S, self._look)
        self.agenda.at(REPORT_PERIOD_S, self._report)
        self._expect()

    def outcome(self) -> Outcome:
        self._cluster.accelerators.settle(self.agenda.now_s)
        return Outcome(
            records=tuple(self._gateway.records),
            ended_s=self.agenda.now_s,
            accelerators=self._cluster.accelerators,
            decided=tuple(self._autoscaler.decided),
            preempted=sum(engine.preempted for engine in self._engines),
        )

    def _expect(self) -> None:
        """One arrival at a time: the agenda stays short."""
        arrival = next(self._coming, None)
        if arrival is not None:
            self.agenda.at(arrival.at_s, partial(self._arrive, arrival))

    def _arrive(self, arrival: Arrival) -> None:
        self._left -= 1
        self._gateway.arrive(arrival)
        self._expect()

    def _look(self) -> None:
        self._autoscaler.look()
        self.agenda.at(self.agenda.now_s + LOOK_PERIOD_S, self._look)

    def _report(self) -> None:
        self._gateway.report()
        self.agenda.at(self.agenda.now_s + REPORT_PERIOD_S, self._report)

    def _happen(self, event: NodeEvent) -> None:
        if event.what is What.LEAVES:
            self._cluster.node_left(event.node)
        else:
            self._cluster.node_returned(event.node)
        # As many as before, as far as they fit on the nodes that are there.
        counts = Counts(self._autoscaler.scaling.counts())
        self._autoscaler.set(self._cluster.follow(counts).counts())

    def _engine(self, model: str) -> Engine:
        time, trace = self._case.times[model], self._case.trace
        weight = max(trace.block_tokens // time.cache.block_tokens, 1)
        cache = PrefixCache(time.cache.blocks, weight)
        engine = Engine(time, cache, trace.block_tokens, patience_s=DEADLINE_S)
        self._engines.append(engine)
        return engine
