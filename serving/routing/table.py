"""The replicas a gateway knows, with the requests it has sent them.

In-flight counts are taken at dispatch and given back by a context manager, so no failing path can
leak one. Heartbeats only correct what others send: `others` is the reported load minus our own
share when the report came.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from serving.snapshot import Phase, ReplicaReport

#: How long a replica that was ready is asked, when nobody else is there, after the list lost it.
FORGET_S = 30.0


@dataclass(slots=True, eq=False)
class Slot:
    """One replica as seen from here."""

    report: ReplicaReport
    in_flight: int = 0
    #: Requests at the replica that other gateways sent, by the last heartbeat.
    others: int = 0
    #: Loop time until which a refused connect keeps it out of the choice.
    suspect_until_s: float = 0.0
    #: Loop time at which the snapshot stopped listing it; 0 while it does.
    unlisted_s: float = 0.0

    @property
    def replica_id(self) -> str:
        return self.report.replica_id

    @property
    def is_listed(self) -> bool:
        return not self.unlisted_s

    @property
    def is_ready(self) -> bool:
        return self.report.phase is Phase.READY and bool(self.report.address)

    def may_stay(self, now_s: float) -> bool:
        """Old news is not no news: a Controller that just came back may not list it yet."""
        return self.is_ready and now_s - self.unlisted_s < FORGET_S

    def update(self, report: ReplicaReport) -> None:
        self.report = report
        self.unlisted_s = 0.0
        self.others = max(0, report.load.waiting + report.load.running - self.in_flight)

    @contextmanager
    def reserved(self) -> Iterator[None]:
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1


@dataclass(slots=True)
class Table:
    """Slots by replica set; a slot lives as long as its replica is listed."""

    sets: dict[str, list[Slot]] = field(default_factory=dict)
    by_id: dict[str, Slot] = field(default_factory=dict)

    def of(self, replica_set: str) -> list[Slot]:
        return self.sets.get(replica_set, [])

    def apply(
        self, reports: Iterable[ReplicaReport], now_s: float, gone: Callable[[Slot], None]
    ) -> None:
        """Takes over a whole new list; `gone` hears of every slot that is given up."""
        old, self.by_id, self.sets = self.by_id, {}, {}
        applications = set()
        for report in reports:
            slot = old.pop(report.replica_id, None) or Slot(report)
            slot.update(report)
            applications.add(report.application)
            self._keep(slot)
        for slot in old.values():
            slot.unlisted_s = slot.unlisted_s or now_s
            if slot.report.application not in applications and slot.may_stay(now_s):
                self._keep(slot)
            else:
                gone(slot)

    def _keep(self, slot: Slot) -> None:
        self.by_id[slot.replica_id] = slot
        self.sets.setdefault(slot.report.replica_set, []).append(slot)

    def in_flight(self) -> tuple[tuple[str, int], ...]:
        return tuple((slot.replica_id, slot.in_flight) for slot in self.by_id.values())
