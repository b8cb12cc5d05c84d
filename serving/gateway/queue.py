"""Requests that wait for the first replica of their model.

Rules
- Only where the Controller says that one will come, and only while it can come within the request's
  own deadline: everybody else is told at once, and when to come again.
- Both the requests and their bytes are bounded; what does not fit is refused, not what waits.
- First come, first served: all go on in their order when a replica is there.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import ceil

from serving.errors import ApiError
from serving.gateway.meter import Meters
from serving.gateway.refusal import unavailable
from serving.snapshot import Outlook

#: Of one gateway, over all models.
MAX_REQUESTS = 1_024
MAX_BYTES = 64 * 1024 * 1024
#: Of the deadline; it is for the answer itself.
MARGIN_S = 2.0
#: Longer nobody is told to stay away.
MAX_RETRY_AFTER_S = 60


class Queue:
    def __init__(self, now_s: Callable[[], float], meters: Meters) -> None:
        self._now_s = now_s
        self._meters = meters
        #: When a replica set will have a replica.
        self._ready_at_s: dict[str, float] = {}
        #: In their order.
        self._waiting: dict[str, dict[asyncio.Future[None], None]] = {}
        self._requests = 0
        self._bytes = 0

    def apply(self, outlooks: Iterable[Outlook]) -> None:
        """Takes over all outlooks; who waits for a set that has none any more is told so."""
        now_s = self._now_s()
        self._ready_at_s = {each.replica_set: now_s + each.ready_in_s for each in outlooks}
        for replica_set in [name for name in self._waiting if name not in self._ready_at_s]:
            self.wake(replica_set)

    def has_outlook(self, replica_set: str) -> bool:
        return replica_set in self._ready_at_s

    def waiting(self) -> list[str]:
        """The replica sets that somebody waits for."""
        return list(self._waiting)

    def wake(self, replica_set: str) -> None:
        """Everybody who waits for this set goes on."""
        for turn in self._waiting.pop(replica_set, ()):
            if not turn.done():
                turn.set_result(None)

    async def wait(self, replica_set: str, body_bytes: int, deadline_s: float) -> None:
        """Returns when there may be a replica. Raises ApiError when there will be none in time."""
        self._check(replica_set, body_bytes, deadline_s)
        with self._counted(replica_set, body_bytes), self._queued(replica_set) as turn:
            try:
                async with asyncio.timeout(deadline_s - MARGIN_S - self._now_s()):
                    await turn
            except TimeoutError:
                raise self._refusal(replica_set) from None

    def _check(self, replica_set: str, body_bytes: int, deadline_s: float) -> None:
        is_late = self._ready_at_s.get(replica_set, deadline_s) >= deadline_s - MARGIN_S
        is_full = self._requests >= MAX_REQUESTS or self._bytes + body_bytes > MAX_BYTES
        if is_late or is_full:
            raise self._refusal(replica_set)

    def _refusal(self, replica_set: str) -> ApiError:
        now_s = self._now_s()
        left_s = self._ready_at_s.get(replica_set, now_s) - now_s
        return unavailable(ceil(min(max(left_s, 1.0), MAX_RETRY_AFTER_S)))

    @contextmanager
    def _counted(self, replica_set: str, body_bytes: int) -> Iterator[None]:
        meter = self._meters.of(replica_set)
        meter.waits(body_bytes)
        self._requests += 1
        self._bytes += body_bytes
        try:
            yield
        finally:
            meter.waited(body_bytes)
            self._requests -= 1
            self._bytes -= body_bytes

    @contextmanager
    def _queued(self, replica_set: str) -> Iterator[asyncio.Future[None]]:
        """A turn that comes with `wake`."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(replica_set, {})[turn] = None
        try:
            yield turn
        finally:
            waiting = self._waiting.get(replica_set, {})
            waiting.pop(turn, None)
            if not waiting:
                self._waiting.pop(replica_set, None)
