"""Which replicas there are, from their own reports. Pure: reports and the clock in, a snapshot out.

A report that stays away is old news, not no news: the replica is kept for `FORGET_S`, since the way
to the Controller may be what broke. A new start of the same application is the end of the old one
at once.

Two kinds of news: who is there, which gateways should hear at once, and how busy they are, which
changes with every report and is passed on when somebody asks.
"""

from dataclasses import dataclass, field, replace

from serving.quarantine import Quarantine
from serving.snapshot import (
    NO_USAGE,
    GatewayReport,
    KeyNews,
    KeyRecord,
    MonthUse,
    Outlook,
    ReplicaReport,
    Snapshot,
    UsageReport,
)

#: A replica silent for this long is off the list; gateways have stopped using it long before.
FORGET_S = 60.0
#: Gateways that left without a word are not counted for longer than this.
FORGET_GATEWAY_S = 10.0


@dataclass(slots=True)
class Registry:
    """Mutable on purpose: one owner, the Controller, on one event loop."""

    internal_token: str = field(repr=False)
    #: Starts anywhere: a restarted Controller must not repeat the versions of the one before.
    version: int = 0
    #: The version with the last news that should not wait.
    urgent_version: int = 0
    _replicas: dict[str, tuple[float, ReplicaReport]] = field(default_factory=dict)
    _gateways: dict[str, tuple[float, GatewayReport]] = field(default_factory=dict)
    #: Replicas that said they go, and when: a report that was under way must not bring one back.
    _left: dict[str, float] = field(default_factory=dict)
    _keys: tuple[KeyRecord, ...] = ()
    _month: tuple[MonthUse, ...] = ()
    _key_news: KeyNews = KeyNews.UNREAD
    _usage: UsageReport = NO_USAGE
    _outlooks: tuple[Outlook, ...] = ()
    _quarantine: Quarantine = field(default_factory=Quarantine)

    def __post_init__(self) -> None:
        self.urgent_version = self.version

    def report(self, report: ReplicaReport, now_s: float) -> None:
        """Takes a replica's newest word about itself."""
        if report.replica_id in self._left:
            return
        known = self._replicas.get(report.application)
        self._replicas[report.application] = (now_s, report)
        if known is None or replace(known[1], load=report.load) != report:
            self._changed()
        elif known[1] != report:
            self.version += 1

    def leave(self, replica_id: str, now_s: float) -> None:
        """Forgets a replica that said it goes; a successor under the same application stays."""
        self._left = {gone: at for gone, at in self._left.items() if now_s - at <= FORGET_S}
        self._left[replica_id] = now_s
        for application, (_, report) in list(self._replicas.items()):
            if report.replica_id == replica_id:
                del self._replicas[application]
                self._changed()

    def report_gateway(self, report: GatewayReport, now_s: float) -> None:
        """Takes a gateway's newest word about itself."""
        self._gateways[report.gateway_id] = (now_s, report)
        if self._quarantine.add(report.deaths, now_s):
            self._changed()

    def set_keys(self, keys: tuple[KeyRecord, ...], key_news: KeyNews = KeyNews.CURRENT) -> None:
        """Replaces all keys; a change does not wait."""
        if (keys, key_news) != (self._keys, self._key_news):
            self._keys, self._key_news = keys, key_news
            self._changed()

    def set_month(self, month: tuple[MonthUse, ...]) -> None:
        """Replaces what keys have used this month; told with the next answer."""
        if month != self._month:
            self._month = month
            self.version += 1

    def set_usage(self, usage: UsageReport) -> None:
        """Replaces what callers are told of their own usage; told with the next answer."""
        if usage != self._usage:
            self._usage = usage
            self.version += 1

    @property
    def key_count(self) -> int:
        return len(self._keys)

    @property
    def key_news(self) -> KeyNews:
        return self._key_news

    def set_outlooks(self, outlooks: tuple[Outlook, ...]) -> None:
        """Says which replica sets will have a first replica soon."""
        before, self._outlooks = self._outlooks, outlooks
        if {each.replica_set for each in before} != {each.replica_set for each in outlooks}:
            self._changed()
        elif before != outlooks:
            self.version += 1

    def replicas(self, now_s: float) -> tuple[ReplicaReport, ...]:
        """The replicas heard of within `FORGET_S`, by application."""
        silent = [name for name, (at_s, _) in self._replicas.items() if now_s - at_s > FORGET_S]
        for name in silent:
            del self._replicas[name]
            self._changed()
        return tuple(report for _, (_, report) in sorted(self._replicas.items()))

    def silent(self, now_s: float, for_s: float) -> tuple[str, ...]:
        """The ids of replicas that were not heard of for so long."""
        heard = self._replicas.values()
        return tuple(report.replica_id for at_s, report in heard if now_s - at_s > for_s)

    def gateways(self, now_s: float) -> tuple[GatewayReport, ...]:
        """The gateways heard of within `FORGET_GATEWAY_S`."""
        fresh = {
            name: (at_s, report)
            for name, (at_s, report) in self._gateways.items()
            if now_s - at_s <= FORGET_GATEWAY_S
        }
        self._gateways = fresh
        return tuple(report for _, (_, report) in sorted(fresh.items()))

    @property
    def quarantined(self) -> int:
        """Requests that nobody sends to a replica any more."""
        return len(self._quarantine.quarantined)

    def snapshot(self, known_version: int, now_s: float) -> Snapshot | None:
        """The whole truth, or None when `known_version` is it already."""
        replicas = self.replicas(now_s)
        if self._quarantine.forget(now_s):
            self._changed()
        if known_version == self.version:
            return None
        return Snapshot(
            version=self.version,
            keys=self._keys,
            replicas=replicas,
            internal_token=self.internal_token,
            outlooks=self._outlooks,
            month=self._month,
            deaths=self._quarantine.deaths(now_s),
            key_news=self._key_news,
            usage=self._usage,
        )

    def _changed(self) -> None:
        self.version += 1
        self.urgent_version = self.version
