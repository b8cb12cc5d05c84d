"""Sends requests at the times the trace gives, whatever becomes of the earlier ones.

Rules: a request's time runs from the moment it was due, so a rig that is late cannot flatter a
router; a reply that is not whole is an error and has no times; nothing is asked twice; what has not
ended when the patience is over is an error too.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import httptools

from ops.bench.reply import STREAM_END, ReplyCheck
from ops.bench.routers.prompt import chat_body
from ops.bench.routers.trace import Ask
from ops.bench.shape import Target

#: Between the bytes being built and the first of them being sent.
_RUN_UP_S = 0.2


@dataclass(frozen=True, slots=True)
class Send:
    """One request: when it is due after the start, its bytes, and the tokens it asks for."""

    due_s: float
    request: bytes
    tokens: int


def sends(asks: Sequence[Ask], target: Target, speed: float) -> tuple[Send, ...]:
    """What the trace asks, in bytes and at the pace of the wall clock."""
    return tuple(
        Send(ask.arrival_s / speed, target.post(chat_body(ask, target.model)), ask.output_tokens)
        for ask in asks
    )


@dataclass(slots=True)
class Replies:
    """Seconds of the wall clock, of whole replies only."""

    first_s: list[float] = field(default_factory=list)
    total_s: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    #: From the first request being due to the last reply's end.
    elapsed_s: float = 0.0


class _Connection(asyncio.Protocol):
    """One keep-alive connection; the callbacks after `send` are httptools' parser events."""

    def __init__(self, line: "_Line") -> None:
        self._line = line
        self._transport: asyncio.Transport | None = None
        self._reply: _Reply | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is one in all but its bases.
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpResponseParser(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._line.forget(self)
        if self._reply is not None:
            self._reply.end("connection lost")

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as bad:
            if self._reply is not None:
                self._reply.end(f"not HTTP: {bad}")
            self._reply = None
            self.close()

    def send(self, request: bytes, reply: "_Reply") -> None:
        if self._transport is None:
            reply.end("connection lost")
            return
        self._reply = reply
        self._transport.write(request)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def on_body(self, body: bytes) -> None:
        if self._reply is not None:
            self._reply.on_body(body)

    def on_message_complete(self) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.end(reply.check.problem(self._parser.get_status_code()))
        if self._parser.should_keep_alive():
            self._line.give_back(self)
        else:
            self.close()


class _Line:
    """The connections to one address."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._idle: list[_Connection] = []
        self._all: set[_Connection] = set()

    async def get(self) -> _Connection:
        if self._idle:
            return self._idle.pop()
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: _Connection(self), self._target.host, self._target.port
        )
        self._all.add(connection)
        return connection

    def give_back(self, connection: _Connection) -> None:
        self._idle.append(connection)

    def forget(self, connection: _Connection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        for connection in tuple(self._all):
            connection.close()


class _Reply:
    """One reply on its way."""

    __slots__ = ("_due_s", "_first_s", "_is_over", "_run", "check")

    def __init__(self, run: "_Run", due_s: float, tokens: int) -> None:
        self._run = run
        self._due_s = due_s
        self._first_s = 0.0
        self._is_over = False
        self.check = ReplyCheck(STREAM_END, tokens)

    def on_body(self, body: bytes) -> None:
        if self.check.feed(body) and not self._first_s:
            self._first_s = self._run.loop.time()

    def end(self, problem: str | None) -> None:
        if self._is_over or self._run.is_over:
            return
        self._is_over = True
        run, now_s = self._run, self._run.loop.time()
        if problem is None:
            run.replies.first_s.append(self._first_s - self._due_s)
            run.replies.total_s.append(now_s - self._due_s)
            run.replies.tokens += self.check.tokens
        else:
            run.replies.errors[problem] += 1
        run.ended(now_s)


class _Run:
    def __init__(self, count: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.replies = Replies()
        self.start_s = self.loop.time() + _RUN_UP_S
        self.is_done = asyncio.Event()
        #: What is still on its way has been counted, or is not wanted any more.
        self.is_over = False
        self._left = count

    def ended(self, now_s: float) -> None:
        self._left -= 1
        self.replies.elapsed_s = now_s - self.start_s
        if not self._left:
            self.is_done.set()

    async def ask(self, send: Send, line: _Line) -> None:
        due_s = self.start_s + send.due_s
        await asyncio.sleep(due_s - self.loop.time())
        reply = _Reply(self, due_s, send.tokens)
        try:
            connection = await line.get()
        except OSError as bad:
            reply.end(f"cannot connect: {type(bad).__name__}")
        else:
            connection.send(send.request, reply)

    def give_up(self) -> None:
        if self._left:
            self.replies.errors["no end in time"] += self._left


async def replay(asked: Sequence[Send], targets: Sequence[Target], patience_s: float) -> Replies:
    """Every request once, to the targets in turn; waits `patience_s` after the last was due."""
    lines = [_Line(target) for target in targets]
    run = _Run(len(asked))
    # What is alive now stays alive: keep the collector from walking it while we measure.
    gc.freeze()
    try:
        async with asyncio.timeout(_RUN_UP_S + asked[-1].due_s + patience_s):
            async with asyncio.TaskGroup() as group:
                for number, send in enumerate(asked):
                    group.create_task(run.ask(send, lines[number % len(lines)]))
            await run.is_done.wait()
    except TimeoutError:
        run.give_up()
    finally:
        gc.unfreeze()
        run.is_over = True
        for line in lines:
            line.close()
    return run.replies
