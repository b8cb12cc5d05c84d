"""The load generator: N keep-alive connections, each asks again the moment its reply is whole.

Rules: latency runs from the write of the request to the last byte of its body; a reply that is not
whole (see `reply.py`) is an error and never a count; of what happens before the window opens only
the errors are kept; a slow gateway gets a longer window, up to a limit, so that its figure is not
zero. Chunks count as they arrive, also those of streams that the end of the window cuts.
"""

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

import httptools

from ops.bench.reply import STREAM_END, WHOLE_END, ReplyCheck
from ops.bench.shape import Shape, Target, Window

_POLL_S = 0.25
_CONNECT_S = 10.0
#: A gateway that only fails answers very fast: stop asking it.
_MAX_ERRORS = 1_000

Mark = TypeVar("Mark")


@dataclass
class Tally:
    """What was counted since the window opened, and every error."""

    replies: int = 0
    chunks: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    total_s: list[float] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Measured(Generic[Mark]):
    """A closed window: its counts, and what the probe saw when it opened and closed."""

    tally: Tally
    elapsed_s: float
    opened: Mark
    closed: Mark


class _Run:
    """What all connections of one run share."""

    def __init__(self, shape: Shape, request: bytes) -> None:
        self.request = request
        self.is_stream = shape.stream
        self.tally = Tally()
        self.is_over = False

    def count_error(self, what: str) -> None:
        self.tally.errors[what] += 1
        if self.tally.errors.total() >= _MAX_ERRORS:
            self.is_over = True


class _Connection(asyncio.Protocol):
    """One keep-alive connection; the callbacks after `send` are httptools' parser events."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._sent_at = 0.0
        self._is_waiting = False
        self._check = ReplyCheck(STREAM_END if run.is_stream else WHOLE_END)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is one in all but its bases.
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpResponseParser(self)
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._is_waiting and not self._run.is_over:
            self._is_waiting = False
            self._run.count_error("connection lost")

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as bad:
            self._run.count_error(f"not HTTP: {bad}")
            self.close()

    def send(self) -> None:
        if self._transport is None or self._run.is_over:
            return
        self._check.reset()
        self._is_waiting = True
        self._sent_at = time.perf_counter()
        self._transport.write(self._run.request)

    def close(self) -> None:
        self._is_waiting = False
        if self._transport is not None:
            self._transport.abort()

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    def on_body(self, body: bytes) -> None:
        check, run = self._check, self._run
        was_silent = not check.tokens
        tokens = check.feed(body)
        if tokens and run.is_stream:
            run.tally.chunks += tokens
            if was_silent:
                run.tally.first_s.append(time.perf_counter() - self._sent_at)

    def on_message_complete(self) -> None:
        run = self._run
        if not self._is_waiting:
            run.count_error("a reply nobody asked for")
            return
        self._is_waiting = False
        problem = self._check.problem(self._parser.get_status_code())
        if problem is None:
            run.tally.replies += 1
            run.tally.total_s.append(time.perf_counter() - self._sent_at)
        else:
            run.count_error(problem)
        if self._parser.should_keep_alive():
            self.send()
        else:
            self.close()


async def drive(
    target: Target, shape: Shape, window: Window, probe: Callable[[], Mark]
) -> Measured[Mark]:
    """Loads the target with one shape and returns what its window held."""
    run = _Run(shape, target.request(stream=shape.stream))
    connections = await _connect(target, run, shape.connections)
    keeper = asyncio.create_task(_keep_connected(target, run, connections))
    try:
        await asyncio.sleep(window.warmup_s)
        # What is alive now stays alive: keep the collector from walking it in the window.
        gc.freeze()
        run.tally = Tally(errors=run.tally.errors)
        opened, start = probe(), time.perf_counter()
        await _wait(run, window, shape.connections, start)
        elapsed_s, closed, tally = time.perf_counter() - start, probe(), run.tally
    finally:
        run.is_over = True
        keeper.cancel()
        for connection in connections:
            connection.close()
        gc.unfreeze()
    return Measured(tally, elapsed_s, opened, closed)


async def _wait(run: _Run, window: Window, enough: int, start: float) -> None:
    await asyncio.sleep(window.duration_s)
    while run.tally.replies < enough and not run.is_over:
        if time.perf_counter() - start >= window.limit_s:
            return
        await asyncio.sleep(_POLL_S)


async def _connect(target: Target, run: _Run, count: int) -> list[_Connection]:
    return list(await asyncio.gather(*(_connect_one(target, run) for _ in range(count))))


async def _connect_one(target: Target, run: _Run) -> _Connection:
    loop = asyncio.get_running_loop()
    opening = loop.create_connection(lambda: _Connection(run), target.host, target.port)
    _, connection = await asyncio.wait_for(opening, _CONNECT_S)
    return connection


async def _keep_connected(target: Target, run: _Run, connections: list[_Connection]) -> None:
    """Replaces connections the gateway closed, so that it cannot lighten its own load."""
    while not run.is_over:
        await asyncio.sleep(_POLL_S)
        for index, connection in enumerate(connections):
            if connection.is_open:
                continue
            try:
                connections[index] = await _connect_one(target, run)
            except (OSError, TimeoutError) as bad:
                run.count_error(f"cannot connect: {type(bad).__name__}")
