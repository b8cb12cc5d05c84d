"""The emulated engines' process: each engine a port of its own, all on one event loop.

`python -m ops.bench.routers.engines --ports 9001,9002 --model tiny --speed 5`. They answer what a
router may ask of vLLM: chat and text completions, models, health, version, load and metrics.
"""

import argparse
import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import cast

import msgspec
import uvloop

from ops.bench import wire
from ops.bench.routers import metrics, question
from ops.bench.routers.engine import Engine, Job, Progress
from ops.bench.routers.service import Service
from ops.bench.upstream import BadRequest, Request, parse

_LOOPBACK = "127.0.0.1"
_BACKLOG = 2_048
_ROUTES = {"/v1/chat/completions": True, "/v1/completions": False}
_HEAD_END = b"\r\n\r\n"
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nserver: uvicorn\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked" + _HEAD_END
)
_LAST_CHUNK = b"0\r\n\r\n"


def _reply(status: str, body: bytes, kind: str = "application/json") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nserver: uvicorn\r\n"
        f"content-length: {len(body)}\r\ncontent-type: {kind}"
    )
    return head.encode() + _HEAD_END + body


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n"


@dataclass(frozen=True, slots=True)
class Clock:
    """Modelled time: the engines' seconds pass `speed` times as fast as the wall's."""

    wall_s: Callable[[], float]
    speed: float

    def now_s(self) -> float:
        return self.wall_s() * self.speed

    def wall_at(self, modelled_s: float) -> float:
        return modelled_s / self.speed


@dataclass(slots=True)
class Answer:
    """A reply under way: turns progress into bytes."""

    question: question.Question
    wording: wire.Wording
    prompt_tokens: int
    tokens: int = 0

    def on_progress(self, progress: Progress) -> bytes:
        is_first = not self.tokens
        self.tokens += progress.tokens
        usage = wire.Usage(self.prompt_tokens, progress.cached_tokens, self.tokens)
        if not self.question.stream:
            return _reply("200 OK", self.wording.whole(usage)) if progress.is_last else b""
        data = b""
        if is_first:
            data = _STREAM_HEAD + (_chunk(self.wording.opening()) if self.wording.is_chat else b"")
        data += _chunk(self.wording.piece(progress.tokens))
        if progress.is_last:
            wanted = usage if self.question.wants_usage else None
            data += _chunk(self.wording.ending(wanted)) + _LAST_CHUNK
        return data


@dataclass(slots=True, eq=False)
class Port:
    """One engine with its timer and the connections that wait for it."""

    model: str
    clock: Clock
    loop: asyncio.AbstractEventLoop
    engine: Engine
    lateness: metrics.Lateness = field(default_factory=metrics.Lateness)
    _ids: "count[int]" = field(default_factory=count)
    _waiters: dict[int, "Connection"] = field(default_factory=dict)
    _timer: asyncio.TimerHandle | None = None
    _timer_s: float | None = None

    def ask(self, job: Job, waiter: "Connection") -> None:
        self._catch_up()
        self._waiters[job.id] = waiter
        self.engine.submit(job, self.clock.now_s())
        self._set_timer()

    def new_id(self) -> int:
        return next(self._ids)

    def leave(self, job_id: int) -> None:
        if self._waiters.pop(job_id, None) is not None:
            self.engine.cancel(job_id)

    def metrics(self) -> bytes:
        return metrics.exposition(self.model, self.engine, self.lateness).encode()

    def _catch_up(self) -> None:
        for progress in self.engine.advance(self.clock.now_s()):
            waiter = self._waiters.get(progress.job_id)
            if progress.is_last:
                self._waiters.pop(progress.job_id, None)
            if waiter is not None:
                waiter.on_progress(progress)

    def _set_timer(self) -> None:
        due_s = self.engine.next_s
        if due_s == self._timer_s:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_s = due_s
        if due_s is not None:
            self._timer = self.loop.call_at(self.clock.wall_at(due_s), self._on_timer, due_s)

    def _on_timer(self, due_s: float) -> None:
        self._timer = self._timer_s = None
        # A timer may fire a little early; then it is set once more.
        self.lateness.count(max(0.0, self.clock.now_s() - due_s))
        self._catch_up()
        self._set_timer()


class Connection(asyncio.Protocol):
    """Requests one after another, as HTTP/1.1 has them."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._job_id: int | None = None
        self._answer: Answer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is one in all but its bases.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._job_id is not None:
            self._port.leave(self._job_id)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._serve_next()

    def on_progress(self, progress: Progress) -> None:
        if self._answer is None:
            return
        self._write(self._answer.on_progress(progress))
        if progress.is_last:
            self._job_id = self._answer = None
            self._serve_next()

    def _serve_next(self) -> None:
        try:
            while self._answer is None and (request := parse(self._buffer)):
                self._buffer = self._buffer[request.size :]
                self._serve(request)
        except BadRequest as bad:
            self._write(bad.args[0])

    def _serve(self, request: Request) -> None:
        path = request.target.partition("?")[0]
        if path in _ROUTES:
            self._generate(request.body, is_chat=_ROUTES[path])
        else:
            self._write(self._about(path))

    def _about(self, path: str) -> bytes:
        if path == "/metrics":
            return _reply("200 OK", self._port.metrics(), "text/plain; version=0.0.4")
        known = {
            "/health": b"",
            "/ping": b"",
            "/version": b'{"version":"0.32.0"}',
            # As vLLM answers unless it was told to track its load.
            "/load": b'{"server_load":0}',
            "/v1/models": wire.model_list(self._port.model),
        }
        if path not in known:
            return _reply("404 Not Found", b'{"detail":"Not Found"}')
        return _reply("200 OK", known[path])

    def _generate(self, body: bytes, *, is_chat: bool) -> None:
        try:
            asked = question.parse(body)
        except msgspec.DecodeError as bad:
            self._refuse(str(bad))
            return
        text = asked.text
        tokens, keys = question.prompt_tokens(text), question.block_keys(text)
        job = Job(self._port.new_id(), tokens, asked.output_tokens, keys)
        if not self._port.engine.can_hold(job):
            self._refuse("the cache is smaller than this request")
            return
        self._job_id = job.id
        self._answer = Answer(asked, wire.Wording(self._port.model, is_chat), tokens)
        self._port.ask(job, self)

    def _refuse(self, why: str) -> None:
        error = {"message": why, "type": "BadRequestError", "param": None, "code": 400}
        self._write(_reply("400 Bad Request", msgspec.json.encode({"error": error})))

    def _write(self, data: bytes) -> None:
        if self._transport is not None and data:
            self._transport.write(data)


async def _main(ports: tuple[int, ...], model: str, speed: float) -> None:
    loop = asyncio.get_running_loop()
    clock = Clock(loop.time, speed)
    servers = [
        await loop.create_server(
            partial(Connection, Port(model, clock, loop, Engine(Service()))),
            _LOOPBACK,
            number,
            backlog=_BACKLOG,
        )
        for number in ports
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ports", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--speed", type=float, required=True)
    options = parser.parse_args()
    numbers = tuple(int(number) for number in options.ports.split(","))
    uvloop.run(_main(numbers, options.model, options.speed))
