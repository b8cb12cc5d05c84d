"""Looks at the nodes for those who must not wait: Ray's own call has no deadline and hangs as long
as the head does, so a thread of its own makes it.

It also dismisses gateways that wait for room on a node that died. Serve would do it too, but asks
them to finish first, and one that has never begun lets it wait for the whole grace, with the
application called unhealthy all the while.
"""

import logging
import time
from collections.abc import Callable
from typing import Protocol

LOOK_PERIOD_S = 1.0
#: Ten looks went unanswered: what was seen before may be wrong by now.
STALE_S = 10.0
#: A node that was not seen for so long is taken for gone by whoever plans: a shorter absence ends
#: by itself, and a replica that starts elsewhere takes longer.
GONE_S = 30.0
#: After a death; Ray may hear of the last one that waits a moment later.
DISMISSALS = 3

_log = logging.getLogger(__name__)


class Cluster(Protocol):
    """Each may raise, or hang."""

    def live_nodes(self) -> tuple[str, ...]:
        """The address of each."""

    def dismiss_waiting(self) -> None:
        """Ends the gateways that have never begun."""


class NodeWatch:
    """`now_s` is a clock that never goes back."""

    def __init__(self, cluster: Cluster, now_s: Callable[[], float]) -> None:
        self._cluster = cluster
        self._now_s = now_s
        self._seen_at_s = float("-inf")
        self._alive = 0
        #: When each node was last seen alive, by its address.
        self._seen: dict[str, float] = {}
        self._dismissals = 0
        self._is_failing = False

    def live_nodes(self) -> int | None:
        """Their number, or None while nobody knows."""
        return self._alive if self._now_s() - self._seen_at_s <= STALE_S else None

    def live_addresses(self) -> frozenset[str] | None:
        """Of the nodes that are not gone for good, or None while nobody knows."""
        now_s = self._now_s()
        if now_s - self._seen_at_s > STALE_S:
            return None
        return frozenset(at for at, at_s in self._seen.items() if now_s - at_s <= GONE_S)

    def dismiss_waiting(self) -> None:
        """Has those dismissed that wait now."""
        self._dismissals = DISMISSALS

    def look(self) -> None:
        """Looks once; may take as long as it likes."""
        try:
            alive, now_s = self._cluster.live_nodes(), self._now_s()
            kept = {at: at_s for at, at_s in self._seen.items() if now_s - at_s <= GONE_S}
            self._seen = {**kept, **dict.fromkeys(alive, now_s)}
            self._alive, self._seen_at_s = len(alive), now_s
            if self._dismissals:
                self._cluster.dismiss_waiting()
                self._dismissals -= 1
        except Exception as error:  # noqa: BLE001 - Ray's errors have no common root
            if not self._is_failing:
                _log.warning("the nodes cannot be looked at: %s", type(error).__name__)
            self._is_failing = True
        else:
            self._is_failing = False

    def watch(self) -> None:
        """Never returns."""
        while True:
            self.look()
            time.sleep(LOOK_PERIOD_S)
