"""One try of one request at one replica: takes the reply apart as it arrives.

Whoever sends it hears once how it ended: with the body when the reply is complete, with NotTaken or
DiedWithIt when another replica may be asked, with an ApiError when nobody else would do better.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from math import inf

from serving import bounds
from serving.gateway.pool import UpstreamConnection
from serving.gateway.refusal import DiedWithIt, NotTaken, translate, upstream
from serving.routing.breaker import Breaker, Symptom

REPLICA_HEADER = b"x-flotilla-replica"


#: A replica closes its idle connections without a look at what is on the way to it. What it still
#: reads after that long it had taken, and the loss is its own.
STALE_S = 0.05


class Stale(Exception):
    """A connection was being closed by the replica as it was used: nobody is to blame."""

    def __init__(self, was_written: bool) -> None:
        super().__init__()
        #: The replica may have the request after all.
        self.was_written = was_written


Ended = Callable[[bytes, Exception | None], None]
"""The body, or why there is none. Called from within the connection that reads the reply."""


def _unheard(body: bytes, error: Exception | None) -> None:
    """Nobody listens any more."""


class Attempt:
    """A whole reply, read to its end."""

    __slots__ = (
        "_body",
        "_breaker",
        "_connection",
        "_ended",
        "_expected",
        "_limit_s",
        "_loop",
        "_param",
        "_sent_s",
        "_size",
        "is_over",
        "is_settled",
        "status",
    )

    def __init__(
        self,
        expected: bytes | None,
        param: str,
        loop: asyncio.AbstractEventLoop,
        breaker: Breaker,
        limit_s: float = inf,
    ) -> None:
        self._expected = expected
        self._breaker = breaker
        #: For a whole reply, which shows nothing of itself before its end.
        self._limit_s = limit_s
        self._param = param
        self._loop = loop
        self._sent_s = 0.0
        self._connection: UpstreamConnection | None = None
        self._body: list[bytes] = []
        self._size = 0
        self.status = 0
        #: The connection has no more to say and is back in its pool, or lost.
        self.is_over = False
        #: Whoever sent it has heard how it ended, or has let it go.
        self.is_settled = False
        self._ended: Ended = _unheard

    def send(self, connection: UpstreamConnection, request: bytes, ended: Ended) -> None:
        """Whoever calls this calls `release` too."""
        self._ended = ended
        self._connection = connection
        self._sent_s = self._loop.time()
        connection.send(request, self)

    async def carry(self, connection: UpstreamConnection, request: bytes) -> bytes:
        """The same for a task that waits for the end."""
        done: asyncio.Future[bytes] = self._loop.create_future()
        try:
            self.send(connection, request, partial(_resolve, done))
            return await done
        finally:
            # A failure's traceback holds this frame, which would hold the failure.
            del done
            self.release()

    # What the connection calls
    def on_head(self, status: int, headers: dict[bytes, bytes]) -> None:
        self.status = status
        found = headers.get(REPLICA_HEADER)
        if self._expected is not None and found != self._expected:
            error = upstream("The address belongs to another replica by now.")
            self._fail(NotTaken(error, Symptom.UNREACHABLE))

    def on_data(self, data: bytes) -> None:
        self._body.append(data)
        self._size += len(data)
        limit = bounds.REPLY_BYTES if self.status == 200 else bounds.REFUSAL_BYTES
        if self._size > limit:
            self._fail(DiedWithIt(upstream("The replica's answer had no end.")))

    def on_end(self) -> None:
        self.is_over = True
        body = b"".join(self._body)
        if self.status == 200:
            self._breaker.progress_s = self._loop.time()
            self._settle(body, None)
        else:
            self._fail(translate(self.status, body, self._param))

    def on_lost(self) -> None:
        self.is_over = True
        connection = self._connection
        if connection is not None and not connection.was_written:
            self._fail(Stale(was_written=False))
        elif self._may_be_stale():
            self._fail(Stale(was_written=True))
        else:
            self._fail(DiedWithIt(upstream(), Symptom.DIED))

    def on_silent(self) -> None:
        """Its node is cut off or has no power: that is no request's doing, and none is blamed."""
        self.is_over = True
        self._fail(DiedWithIt(upstream(), Symptom.FAILED))

    def _may_be_stale(self) -> bool:
        if self.status or self._connection is None or not self._connection.is_reused:
            return False
        return self._loop.time() - self._sent_s < STALE_S

    def _fail(self, error: Exception) -> None:
        self._settle(b"", error)

    def _settle(self, body: bytes, error: Exception | None) -> None:
        if not self.is_settled:
            self.is_settled = True
            ended, self._ended = self._ended, _unheard
            ended(body, error)

    # What the job calls
    def release(self) -> None:
        """Ends the try; a replica still at work sees its client leave."""
        self.is_settled = True
        self._ended = _unheard  # it holds whoever holds this try
        self._let_go()

    def _let_go(self) -> None:
        if not self.is_over and self._connection is not None:
            self._connection.close()

    def pause(self) -> None:
        if not self.is_over and self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        if not self.is_over and self._connection is not None:
            self._connection.resume()

    def sweep(self, now_s: float) -> None:
        """A whole reply shows no progress of its own; the streams beside it show the replica's."""
        if self._breaker.hung_s > self._sent_s or now_s - self._sent_s > self._limit_s:
            self._fail_hung()

    def _fail_hung(self) -> None:
        error = upstream("The replica has stopped making tokens.")
        self._fail(DiedWithIt(error, Symptom.HUNG))


def _resolve(done: asyncio.Future[bytes], body: bytes, error: Exception | None) -> None:
    if done.done():  # whoever waited was cancelled
        return
    if error is None:
        done.set_result(body)
    else:
        done.set_exception(error)
