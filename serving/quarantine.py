"""Which requests have killed replicas. Pure: deaths and the clock in, who is quarantined out.

Rules
1. A request is blamed with each replica that died or hung while it had the request. Two different
   replicas quarantine it: any gateway refuses it from then on.
2. Deaths are facts that are only ever added, so gateways and Controller tell each other all they
   know and put it together in any order; the same death told twice is one.
3. They are forgotten `FORGET_S` after the last one: a fleet that was updated gets another chance.
4. At most `MOST` requests are remembered, those of the latest deaths.

A request is known by its fingerprint; what it said is kept nowhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

#: Replicas that one request may cost.
MOST_DEATHS = 2
FORGET_S = 3600.0
#: A replica may take a hundred innocent requests with it, each of which is blamed once.
MOST = 1_024


@dataclass(frozen=True, slots=True)
class Death:
    """One request and the replicas that died with it."""

    fingerprint: bytes
    #: Sorted, so that equal facts are equal values.
    replica_ids: tuple[str, ...]
    #: Seconds since the last of them, when this was told.
    ago_s: float = 0.0


@dataclass(slots=True)
class Quarantine:
    """Mutable on purpose: one owner, a gateway or the Controller, on one event loop."""

    #: By fingerprint, those with the latest news last: loop time of the last death, and who died.
    _known: dict[bytes, tuple[float, frozenset[str]]] = field(default_factory=dict)
    #: Empty nearly always, so that asking costs nothing.
    quarantined: frozenset[bytes] = frozenset()

    def add(self, deaths: Iterable[Death], now_s: float) -> bool:
        """Takes over what was told; whether any of it is news."""
        is_news = False
        for death in deaths:
            at_s, before = self._known.get(death.fingerprint, (-inf, frozenset[str]()))
            known = before | frozenset(death.replica_ids)
            if known != before and death.ago_s < FORGET_S:
                self._known.pop(death.fingerprint, None)
                self._known[death.fingerprint] = (max(at_s, now_s - death.ago_s), known)
                is_news = True
        if is_news:
            self._settle()
        return is_news

    def _settle(self) -> None:
        while len(self._known) > MOST:
            del self._known[next(iter(self._known))]
        self.quarantined = frozenset(
            mark for mark, (_, known) in self._known.items() if len(known) >= MOST_DEATHS
        )

    def forget(self, now_s: float) -> bool:
        """Drops what is old; whether there was any."""
        old = [mark for mark, (at_s, _) in self._known.items() if now_s - at_s >= FORGET_S]
        for mark in old:
            del self._known[mark]
        if old:
            self._settle()
        return bool(old)

    def deaths(self, now_s: float) -> tuple[Death, ...]:
        """All that is known, to be told."""
        return tuple(
            Death(mark, tuple(sorted(known)), now_s - at_s)
            for mark, (at_s, known) in self._known.items()
        )

    def replicas(self, fingerprint: bytes) -> frozenset[str]:
        """Those that died with this request."""
        known = self._known.get(fingerprint)
        return frozenset() if known is None else known[1]
