"""One client connection: deadlines, order of answers, disconnects, back-pressure. Knows HTTP,
nothing of models.

Rules
- What the head alone refuses (key, route, type, length) is answered at once; then we read no more
  and close.
- One request at a time. What a client pipelines is kept, unread beyond a bound, and answered in
  order.
- No timer per request. A deadline is a number; the server's sweep looks at all of them a few times
  a second.
- A framing fault is a 400, after the answers that are due, and the end of the connection.
- Reading goes on while a request is answered, so a client that leaves (FIN, RST or half-close) is
  noticed in every phase. Only a client that pipelines more than a bound is not read; the write
  timeout finds it.
- A connection that closes with input still to come lingers: closing at once would reset it under
  the answer.

Not uvicorn's protocol: its ASGI cycle alone costs more per request than the whole budget (figures
in ops/decisions). The parser underneath is the same one.
"""

import asyncio
from collections import deque
from typing import Protocol, cast

from serving.bounds import PIPELINED_BYTES, WRITE_BUFFER_BYTES, Deadlines
from serving.errors import ApiError
from serving.gateway.exchange import Exchange, Job
from serving.gateway.outbox import Outbox
from serving.gateway.parser import Head, Message, Phase, RequestParser
from serving.gateway.refusal import shutting_down


class App(Protocol):
    """What a connection asks of the gateway."""

    deadlines: Deadlines
    outbox: Outbox
    #: Every answer is the last of its connection.
    is_draining: bool

    def check_head(self, head: Head) -> ApiError | None: ...
    def serve(self, exchange: Exchange) -> None: ...
    def answered(self, exchange: Exchange) -> None: ...
    def new_id(self) -> str: ...


class ClientConnection(asyncio.Protocol):
    def __init__(
        self, app: App, known: set["ClientConnection"], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._app = app
        self._known = known
        self._loop = loop
        self._parser = RequestParser(app.check_head)
        self._transport = cast(asyncio.Transport, None)
        self._active: Exchange | None = None
        self._waiting: deque[Message] = deque()
        #: Bytes that came while a request was being answered.
        self._unread: list[bytes] = []
        self._unread_bytes = 0
        self._is_paused = False
        #: Loop time at which the client is too late; 0 while it is our turn.
        self._deadline_s = 0.0
        #: Since when the client has taken nothing of what we write; 0 while it does.
        self._stalled_s = 0.0
        self._is_lingering = False
        #: What waits in the outbox.
        self._held = b""

    # asyncio's side
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        self._deadline_s = self._loop.time() + self._app.deadlines.headers_s
        self._known.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._known.discard(self)
        self._parser.close()
        self._waiting.clear()
        self._leave()

    def eof_received(self) -> None:
        self._write_held()  # it may still read what it has been answered
        self._leave()

    def data_received(self, data: bytes) -> None:
        if self._active is not None or self._unread:
            self._keep_unread(data)
        elif not self._is_lingering:
            self._feed(data)

    def pause_writing(self) -> None:
        self._stalled_s = self._loop.time()
        if self._active is not None and self._active.job is not None:
            self._active.job.pause()

    def resume_writing(self) -> None:
        self._stalled_s = 0.0
        if self._active is not None and self._active.job is not None:
            self._active.job.resume()

    def _leave(self) -> None:
        active, self._active = self._active, None
        if active is not None:
            active.client_left()

    # Reading
    def _keep_unread(self, data: bytes) -> None:
        self._unread.append(data)
        self._unread_bytes += len(data)
        if self._unread_bytes > PIPELINED_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def _feed(self, data: bytes) -> None:
        parser = self._parser
        before = parser.phase
        parser.feed(data)
        if parser.messages:
            self._waiting.extend(parser.messages)
            parser.messages.clear()
        if parser.phase is not before:
            self._phase_changed(parser)
        self._next()

    def _phase_changed(self, parser: RequestParser) -> None:
        deadlines, now = self._app.deadlines, self._loop.time()
        if parser.phase is Phase.HEAD:
            self._deadline_s = now + deadlines.headers_s
        elif parser.phase is Phase.BODY:
            self._deadline_s = now + deadlines.body_s
            if parser.wants_continue and parser.refused is None and not self._waiting:
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # Answering, one at a time
    def _next(self) -> None:
        """Starts the next whole request, or says what is wrong with the one under way."""
        if self._active is not None or self._transport.is_closing():
            return
        parser = self._parser
        if self._waiting:
            self._start(self._waiting.popleft())
        elif parser.fault is not None:
            self._refuse(parser.fault)
        elif parser.refused is not None:
            self._refuse(parser.refused)

    def _start(self, message: Message) -> None:
        self._deadline_s = 0.0
        if self._app.is_draining:
            message.head.keep_alive = False
        exchange = self._active = Exchange(self, message)
        if exchange.refused is not None:
            exchange.fail(exchange.refused)
        else:
            self._app.serve(exchange)

    def _refuse(self, error: ApiError) -> None:
        """Answers a request that will not be read to its end."""
        head = self._parser.head
        head.keep_alive = False
        self._start(Message(head, b"", error))

    # What an exchange needs
    def write(self, data: bytes) -> None:
        """At the end of the turn, or before the connection closes."""
        if not self._held:
            self._app.outbox.add(self._write_held)
        self._held += data
        if len(self._held) > WRITE_BUFFER_BYTES:  # so that a flood is paused within its first turn
            self._write_held()

    def _write_held(self) -> None:
        """Does nothing on a connection that is closing: uvloop raises there, asyncio would not."""
        data, self._held = self._held, b""
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def _close(self) -> None:
        self._write_held()
        self._transport.close()

    def new_id(self) -> str:
        return self._app.new_id()

    def finished(self, keep_alive: bool) -> None:
        exchange, self._active = self._active, None
        if exchange is not None and exchange.job is None:  # a job tells of its end itself
            self._app.answered(exchange)
        if self._transport.is_closing():
            return
        if not keep_alive:
            self._linger()
        elif self._waiting or self._unread or self._parser.is_refusing:
            self._loop.call_soon(self._go_on)
        elif self._app.is_draining:
            self._close()
        else:
            self._deadline_s = self._loop.time() + self._app.deadlines.keep_alive_s

    def _go_on(self) -> None:
        if self._active is not None or self._transport.is_closing():
            return
        if self._waiting or self._parser.is_refusing:
            self._next()
            return
        data, self._unread, self._unread_bytes = b"".join(self._unread), [], 0
        self._deadline_s = self._loop.time() + self._app.deadlines.headers_s
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        self._feed(data)

    def _linger(self) -> None:
        self._waiting.clear()
        parser = self._parser
        if parser.phase is Phase.IDLE and parser.fault is None and not self._unread:
            self._close()
            return
        self._write_held()
        self._unread.clear()
        self._is_lingering = True
        self._deadline_s = self._loop.time() + self._app.deadlines.linger_s
        self._transport.write_eof()
        if self._is_paused:
            self._transport.resume_reading()

    # What the server calls
    def sweep(self, now_s: float) -> None:
        if self._stalled_s and now_s - self._stalled_s > self._app.deadlines.write_s:
            self._transport.abort()
        elif self._active is not None:
            if self._active.job is not None:
                self._active.job.sweep(now_s)
        elif self._deadline_s and now_s > self._deadline_s:
            self._transport.abort()

    @property
    def job(self) -> Job | None:
        """The work under way for this client."""
        return None if self._active is None else self._active.job

    @property
    def peer(self) -> object:
        return self._transport.get_extra_info("peername")

    @property
    def is_idle(self) -> bool:
        return self._active is None and not self._waiting and self._parser.phase is Phase.IDLE

    def drain(self) -> None:
        """Closes if nothing is under way; otherwise the next answer is the last."""
        if self.is_idle and not self._is_lingering:
            self._close()

    def shut_down(self) -> None:
        """The grace is over: what runs is told so, what idles is closed."""
        active = self._active
        if active is not None and active.job is not None:
            active.job.stop(shutting_down())
        else:
            self._close()

    def abort(self) -> None:
        self._transport.abort()
