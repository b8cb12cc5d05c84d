"""The replicas a gateway knows, with the work it has sent them, in requests and in tokens.

What is in flight is counted as long as its `Flight` is open, which whoever opened it closes on
every way out. Heartbeats only correct what others send: `others` is the reported load minus our own
share when the report came, and each of those requests counts as a typical one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from serving.routing.breaker import Breaker
from serving.routing.capacity import Capacity
from serving.routing.work import Traffic
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
    breaker: Breaker = field(default_factory=Breaker)
    capacity: Capacity = field(default_factory=Capacity)
    #: Loop time at which the snapshot stopped listing it; 0 while it does.
    unlisted_s: float = 0.0
    #: Shared by all replicas of the set.
    traffic: Traffic = field(default_factory=Traffic)
    #: The work that a new request finds there: ours, and what others sent.
    ahead_tokens: float = 0.0
    _others_tokens: float = 0.0
    # What every choice reads of the report.
    replica_id: str = field(init=False)
    #: The application, which a restart keeps.
    name: bytes = field(init=False)
    is_ready: bool = field(init=False)

    def __post_init__(self) -> None:
        self.replica_id = self.report.replica_id
        self.name = self.report.application.encode()
        self._read()

    def _read(self) -> None:
        self.is_ready = self.report.phase is Phase.READY and bool(self.report.address)

    @property
    def is_listed(self) -> bool:
        return not self.unlisted_s

    @property
    def others_share(self) -> float:
        """Of the requests at the replicas of the set, those that other gateways sent lately."""
        return self.traffic.others_share

    def may_stay(self, now_s: float) -> bool:
        """Old news is not no news: a Controller that just came back may not list it yet."""
        return self.is_ready and now_s - self.unlisted_s < FORGET_S

    def update(self, report: ReplicaReport) -> None:
        self.report = report
        self.unlisted_s = 0.0
        self._read()
        load = report.load
        self.capacity.reported(load, report.most_running)
        reported = load.waiting + load.running
        self.others = max(0, reported - self.in_flight)
        self.traffic.reported(self.in_flight, self.others)
        share = self.others / reported if reported else 0.0
        before = self._others_tokens
        self._others_tokens = self.traffic.left_tokens(load.waiting * share, load.running * share)
        self.ahead_tokens += self._others_tokens - before

    def settle(self) -> None:
        """Nothing of ours is in flight: what rounding has left goes."""
        self.ahead_tokens = self._others_tokens


class Flight:
    """One request at one replica, counted there until it is closed."""

    __slots__ = ("_is_probe", "_output_tokens", "_prompt_tokens", "_slot")

    def __init__(self, slot: Slot, prompt_tokens: float, output_tokens: float) -> None:
        self._slot = slot
        #: What is still to be given back.
        self._prompt_tokens = prompt_tokens
        self._output_tokens = output_tokens
        self._is_probe = slot.breaker.sent()
        slot.in_flight += 1
        slot.ahead_tokens += prompt_tokens + output_tokens

    def began(self) -> None:
        """The answer has begun: the prompt is computed."""
        self._slot.breaker.began()
        self._slot.ahead_tokens -= self._prompt_tokens
        self._prompt_tokens = 0.0

    def close(self) -> None:
        """To be called once."""
        slot = self._slot
        slot.in_flight -= 1
        if self._is_probe:
            slot.breaker.left()
        slot.ahead_tokens -= self._prompt_tokens + self._output_tokens
        if not slot.in_flight:
            slot.settle()


@dataclass(slots=True)
class Table:
    """Slots by replica set; a slot lives as long as its replica is listed."""

    sets: dict[str, list[Slot]] = field(default_factory=dict)
    by_id: dict[str, Slot] = field(default_factory=dict)
    traffic: defaultdict[str, Traffic] = field(default_factory=lambda: defaultdict(Traffic))
    #: Sets of which the newest list names a replica that takes requests.
    served: set[str] = field(default_factory=set)

    def of(self, replica_set: str) -> list[Slot]:
        return self.sets.get(replica_set, [])

    def apply(
        self, reports: Iterable[ReplicaReport], now_s: float, gone: Callable[[Slot], None]
    ) -> None:
        """Takes over a whole new list; `gone` hears of every slot that is given up."""
        old, self.by_id, self.sets = self.by_id, {}, {}
        applications = set()
        for report in reports:
            slot = old.pop(report.replica_id, None) or self._new(report)
            slot.update(report)
            applications.add(report.application)
            self._keep(slot)
        for slot in old.values():
            slot.unlisted_s = slot.unlisted_s or now_s
            if slot.report.application not in applications and slot.may_stay(now_s):
                self._keep(slot)
            else:
                gone(slot)
        self.served = {
            name
            for name, slots in self.sets.items()
            if any(slot.is_ready and slot.is_listed for slot in slots)
        }

    def _new(self, report: ReplicaReport) -> Slot:
        return Slot(report, traffic=self.traffic[report.replica_set])

    def _keep(self, slot: Slot) -> None:
        self.by_id[slot.replica_id] = slot
        self.sets.setdefault(slot.report.replica_set, []).append(slot)

    def in_flight(self) -> tuple[tuple[str, int], ...]:
        return tuple((slot.replica_id, slot.in_flight) for slot in self.by_id.values())
