"""A replica as gateways see it: it starts, takes requests, drains or is lost. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field

from cluster.shape import Shape
from deployments.simulation.agenda import Agenda
from deployments.simulation.engine import Engine, Progress, Work
from serving.replica.arguments import MAX_NUM_QUEUED_REQS
from serving.snapshot import Load, Phase, ReplicaReport

Heard = Callable[["Replica", Progress], None]


@dataclass(slots=True, eq=False)
class Replica:
    """One engine, and where it is."""

    #: `<model>.<number>`.
    name: str
    model: str
    shape: Shape
    #: One for each stage.
    nodes: tuple[str, ...]
    engine: Engine
    agenda: Agenda
    #: Hears of everything that becomes of its requests.
    heard: Heard
    #: Of all replicas that ever were.
    number: int
    phase: Phase = Phase.STARTING
    _wakes_s: float | None = field(default=None, init=False)

    @property
    def id(self) -> str:
        return f"{self.name}#{self.number}"

    @property
    def load(self) -> Load:
        cache, waiting = self.engine.cache, len(self.engine.waiting)
        return Load(waiting, self.engine.running, cache.in_use / max(cache.capacity, 1))

    @property
    def most_running(self) -> int:
        return self.engine.time.batch.sequences

    @property
    def is_idle(self) -> bool:
        return self.engine.next_s is None

    @property
    def is_full(self) -> bool:
        """Whether it answers 503."""
        return len(self.engine.waiting) + self.engine.running >= MAX_NUM_QUEUED_REQS

    def report(self) -> ReplicaReport:
        """As the Controller would pass it on."""
        return ReplicaReport(
            replica_id=self.id,
            application=self.name,
            replica_set=self.model,
            node=self.nodes[0],
            stages=self.nodes,
            address=self.nodes[0],
            served_name=self.model,
            phase=self.phase,
            load=self.load,
            most_running=self.most_running,
        )

    def take(self, work: Work) -> None:
        """A request for it; it is not full."""
        self.engine.add(work, self.agenda.now_s)
        self._plan()

    def _plan(self) -> None:
        next_s = self.engine.next_s
        if next_s is not None and next_s != self._wakes_s:
            self._wakes_s = next_s
            self.agenda.at(max(next_s, self.agenda.now_s), self._wake)

    def _wake(self) -> None:
        """Something else may have been planned meanwhile: then this is not the time."""
        if self.engine.next_s is None or self.engine.next_s > self.agenda.now_s:
            return
        self._wakes_s = None
        progress = self.engine.advance()
        self._plan()
        self.heard(self, progress)
