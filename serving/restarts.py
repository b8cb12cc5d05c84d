"""Which replicas died and came back, and how often of late. Pure: reports and the clock in.

A replica that drained before it left was told to go: what follows it is no restart.
"""

from collections import deque
from dataclasses import dataclass, field

from serving.snapshot import Phase, ReplicaReport

#: What is counted, and how many of it an operator should hear of.
WINDOW_S = 600.0
OFTEN = 3
#: Of one replica; more in a window says nothing new.
MAX_KEPT = 32
#: A replica that nobody has heard of for so long is no longer remembered.
FORGET_S = 3600.0


@dataclass(slots=True)
class _Known:
    replica_id: str
    heard_s: float
    is_draining: bool = False
    restarts_s: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_KEPT))


@dataclass(slots=True)
class Restarts:
    """Mutable on purpose: one owner, the Controller, on one event loop."""

    _known: dict[str, _Known] = field(default_factory=dict)

    def report(self, report: ReplicaReport, now_s: float) -> None:
        """Takes a replica's word about itself."""
        known = self._known.get(report.application)
        if known is None:
            self._forget(now_s)
            known = self._known[report.application] = _Known(report.replica_id, now_s)
        if known.replica_id != report.replica_id:
            if not known.is_draining:
                known.restarts_s.append(now_s)
            known.replica_id = report.replica_id
        known.heard_s, known.is_draining = now_s, report.phase is Phase.DRAINING

    def often(self, now_s: float) -> dict[str, int]:
        """The replicas that died often in the last `WINDOW_S`, and how often."""
        counts = {
            application: sum(now_s - at_s <= WINDOW_S for at_s in known.restarts_s)
            for application, known in sorted(self._known.items())
        }
        return {application: count for application, count in counts.items() if count >= OFTEN}

    def _forget(self, now_s: float) -> None:
        silent = [name for name, each in self._known.items() if now_s - each.heard_s > FORGET_S]
        for name in silent:
            del self._known[name]
