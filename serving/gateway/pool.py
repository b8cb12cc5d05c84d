"""Connections to replicas: both ends are ours, so the pool is small.

A connection carries one exchange at a time. What arrives in one read is handed on as one piece. The
pool never retries and never waits in line: who asks gets an idle connection, a new one, or an
error.
"""

import asyncio
import time
from typing import Protocol, cast

import httptools

from serving.bounds import CONNECTIONS_PER_REPLICA
from serving.gateway.chunk import sole_chunk
from serving.gateway.outbox import Outbox
from serving.gateway.silence import give_up_after

#: A whole reply shows nothing of itself before its end: without this it would be waited for until
#: the deadline of its request where the node of the replica has lost its power.
REPLICA_SILENCE_S = 20


class Saturated(Exception):
    """All connections this gateway may hold to the replica are busy."""


class Sink(Protocol):
    """Who takes a reply, called from the event loop in this order."""

    def on_head(self, status: int, headers: dict[bytes, bytes]) -> None: ...
    def on_data(self, data: bytes) -> None: ...
    def on_end(self) -> None: ...
    def on_lost(self) -> None: ...
    def on_silent(self) -> None: ...


class _Nobody:
    """Takes the last bytes of a reply that is already settled."""

    def on_head(self, status: int, headers: dict[bytes, bytes]) -> None: ...
    def on_data(self, data: bytes) -> None: ...
    def on_end(self) -> None: ...
    def on_lost(self) -> None: ...
    def on_silent(self) -> None: ...


_NOBODY = _Nobody()


class UpstreamConnection(asyncio.Protocol):
    """One TCP connection to one replica."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._transport = cast(asyncio.Transport, None)
        self._sink: Sink | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []
        self._is_complete = False
        #: All that came ends with a chunk of a body that goes on: the next byte opens a chunk.
        self._is_between_chunks = False
        self._is_paused = False
        #: What waits in the outbox.
        self._held = b""
        #: Of the exchange under way: anything has left for the replica.
        self.was_written = False
        self.is_reused = False
        self.idle_since_s = 0.0

    def send(self, request: bytes, sink: Sink) -> None:
        """At the end of the turn."""
        self.was_written = False
        if not self.is_open:
            sink.on_lost()
            return
        self._sink = sink
        self._held = request
        self._pool.outbox.add(self._write_held)

    def _write_held(self) -> None:
        request, self._held = self._held, b""
        if request and self.is_open:
            self.was_written = True
            self._transport.write(request)

    def close(self) -> None:
        """Drops the exchange: the replica sees its client leave and aborts."""
        self._sink = None
        self._held = b""
        self._transport.abort()

    def let_finish(self) -> None:
        """The reply is known to be complete but for its framing; nobody listens any more."""
        self._sink = _NOBODY
        self.resume()
        self._pool.wait_for(self)

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    def pause(self) -> None:
        if self.is_open and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self.is_open and self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    # asyncio's side
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._pool.remember(self)

    def data_received(self, data: bytes) -> None:
        sink = self._sink
        if sink is None:  # bytes nobody asked for: not a peer of ours
            self.close()
            return
        if self._is_between_chunks:
            content = sole_chunk(data)
            if content:  # the parser need not see it: it would stand where it stands
                sink.on_data(content)
                return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.close()
            sink.on_lost()
            return
        if self._is_between_chunks:  # unless part of the next size line came, or the body's end
            self._is_between_chunks = data.endswith(b"\r\n") and not self._is_complete
        parts = self._parts
        if parts:
            whole = parts[0] if len(parts) == 1 else b"".join(parts)
            parts.clear()
            sink.on_data(whole)
        if self._is_complete and self._sink is not None:  # whoever listens by now
            sink, self._sink = self._sink, None
            self._is_complete = False
            self._pool.give_back(self)
            sink.on_end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.forget(self)
        # It knows our callbacks: held, it would hold this connection.
        self._parser = cast(httptools.HttpResponseParser, None)
        sink, self._sink = self._sink, None
        if sink is None:
            return
        if _is_silence(exc):
            sink.on_silent()
        else:
            sink.on_lost()

    # httptools' side
    def on_message_begin(self) -> None:
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        if self._sink is not None:
            self._sink.on_head(self._parser.get_status_code(), self._headers)

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_chunk_header(self) -> None:
        self._is_between_chunks = False

    def on_chunk_complete(self) -> None:
        self._is_between_chunks = True

    def on_message_complete(self) -> None:
        self._is_complete = True
        if not self._parser.should_keep_alive():
            self._pool.forget(self)


def _is_silence(loss: Exception | None) -> bool:
    """Whether the kernel has given the peer up, which has said nothing itself."""
    return isinstance(loss, OSError) and not isinstance(loss, ConnectionError)


class Pool:
    """The connections to one replica's address."""

    def __init__(self, address: str, outbox: Outbox) -> None:
        self.outbox = outbox
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._idle: list[UpstreamConnection] = []
        self._all: set[UpstreamConnection] = set()
        self._finishing: set[UpstreamConnection] = set()
        self._is_closed = False

    def idle(self) -> UpstreamConnection | None:
        """The connection used last, if one is free: the coldest are left to age."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                connection.is_reused = True
                return connection
        return None

    async def connect(self, limit_s: float) -> UpstreamConnection:
        """Raises Saturated, and OSError, of which TimeoutError is one."""
        if len(self._all) >= CONNECTIONS_PER_REPLICA:
            raise Saturated
        loop, connection = asyncio.get_running_loop(), UpstreamConnection(self)
        try:
            async with asyncio.timeout(limit_s):
                transport, _ = await loop.create_connection(
                    lambda: connection, self._host, self._port
                )
        except BaseException:
            # Where it was there and nobody waited for it any more, uvloop says no word of its end.
            self.forget(connection)
            raise
        give_up_after(transport.get_extra_info("socket"), REPLICA_SILENCE_S)
        return connection

    def remember(self, connection: UpstreamConnection) -> None:
        self._all.add(connection)

    def give_back(self, connection: UpstreamConnection) -> None:
        if self._is_closed or connection not in self._all or not connection.is_open:
            connection.close()
            return
        self._finishing.discard(connection)
        connection.resume()
        connection.idle_since_s = time.monotonic()
        self._idle.append(connection)

    def wait_for(self, connection: UpstreamConnection) -> None:
        connection.idle_since_s = time.monotonic()
        self._finishing.add(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        self._all.discard(connection)
        self._finishing.discard(connection)

    def close_older_than(self, since_s: float) -> None:
        """Closes what has been idle too long; the list is ordered, oldest first."""
        while self._idle and self._idle[0].idle_since_s < since_s:
            self._idle.pop(0).close()
        for connection in [c for c in self._finishing if c.idle_since_s < since_s]:
            connection.close()

    def close(self) -> None:
        """No new exchanges; those that run finish."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()
