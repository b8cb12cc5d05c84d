"""The fake upstream: answers like one vLLM replica, far faster than any gateway can ask.

A bare asyncio protocol on uvloop. It reads only what it must: the request line, Content-Length, and
two flags in the body. A chunked request is refused aloud, since half a parser would measure wrong.
`POST /bench/pause?ms=N` sets the time between the chunks of streams that start afterwards.
"""

import argparse
import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import uvloop

from ops.bench import wire

REPLICA_ID = "bench.0"
PAUSE_PATH = "/bench/pause"

_LOOPBACK = "127.0.0.1"
_BACKLOG = 2_048
_HEAD_END = b"\r\n\r\n"


class Request(NamedTuple):
    """One parsed request and the bytes of the buffer it took."""

    target: str
    body: bytes
    size: int


class BadRequest(Exception):
    """The bytes cannot be answered; the reply to send instead is the argument."""


def parse(buffer: bytes) -> Request | None:
    """The first whole request in `buffer`, or None while bytes are missing."""
    end = buffer.find(_HEAD_END)
    if end < 0:
        return None
    head = buffer[:end].lower()
    if b"\r\ntransfer-encoding:" in head:
        raise BadRequest(_reply(b"411 Length Required", b'{"error":"send a Content-Length"}'))
    start = end + len(_HEAD_END)
    size = start + _content_length(head)
    if len(buffer) < size:
        return None
    target = buffer[: buffer.find(b"\r\n")].split(b" ")[1].decode()
    return Request(target, buffer[start:size], size)


def _content_length(head: bytes) -> int:
    _, found, rest = head.partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


def _reply(status: bytes, body: bytes, kind: bytes = b"application/json") -> bytes:
    lines = (
        b"HTTP/1.1 " + status,
        b"server: uvicorn",
        b"x-flotilla-replica: " + REPLICA_ID.encode(),
        b"content-length: %d" % len(body),
        b"content-type: " + kind,
    )
    return b"\r\n".join(lines) + _HEAD_END + body


_STREAM_HEAD = (
    b"\r\n".join(
        (
            b"HTTP/1.1 200 OK",
            b"server: uvicorn",
            b"x-flotilla-replica: " + REPLICA_ID.encode(),
            b"content-type: text/event-stream; charset=utf-8",
            b"transfer-encoding: chunked",
        )
    )
    + _HEAD_END
)


def _framed(events: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The events as HTTP chunks; the head travels with the first, the end with the last."""
    chunks = [b"%x\r\n" % len(event) + event + b"\r\n" for event in events]
    chunks[0] = _STREAM_HEAD + chunks[0]
    chunks[-1] += b"0\r\n\r\n"
    return tuple(chunks)


@dataclass
class Script:
    """Every answer, made once."""

    model: str
    pause_s: float = 0.0
    whole: dict[str, bytes] = field(init=False)
    streamed: dict[tuple[str, bool], tuple[bytes, ...]] = field(init=False)

    def __post_init__(self) -> None:
        chat, text = "/v1/chat/completions", "/v1/completions"
        ok = b"200 OK"
        self.whole = {
            chat: _reply(ok, wire.chat_reply(self.model)),
            text: _reply(ok, wire.text_reply(self.model)),
            "/v1/models": _reply(ok, wire.model_list(self.model)),
            "/health": _reply(ok, b""),
            "/metrics": _reply(ok, b"vllm:num_requests_running 0.0\n", b"text/plain"),
        }
        self.streamed = {}
        for usage in (False, True):
            self.streamed[chat, usage] = _framed(wire.chat_events(self.model, with_usage=usage))
            self.streamed[text, usage] = _framed(wire.text_events(self.model, with_usage=usage))

    def stream(self, request: Request) -> tuple[bytes, ...] | None:
        """The chunks to send, or None when this request wants a whole reply."""
        body = request.body
        if b'"stream":true' not in body and b'"stream": true' not in body:
            return None
        usage = b'"include_usage":true' in body or b'"include_usage": true' in body
        return self.streamed.get((request.target, usage))

    def answer(self, request: Request) -> bytes:
        path, _, query = request.target.partition("?")
        if path == PAUSE_PATH:
            self.pause_s = float(query.removeprefix("ms=")) / 1_000
            return _reply(b"200 OK", b"{}")
        return self.whole.get(path) or _reply(b"404 Not Found", b'{"error":"no such path"}')


class Upstream(asyncio.Protocol):
    """One connection: requests one after another, never two streams at once."""

    def __init__(self, script: Script, loop: asyncio.AbstractEventLoop) -> None:
        self._script = script
        self._loop = loop
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._chunks: tuple[bytes, ...] = ()
        self._next = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is one in all but its bases.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while request := parse(self._buffer):
                self._buffer = self._buffer[request.size :]
                self._serve(request)
        except BadRequest as bad:
            self._write(bad.args[0])

    def _serve(self, request: Request) -> None:
        chunks = self._script.stream(request)
        if chunks is None:
            self._write(self._script.answer(request))
            return
        self._chunks, self._next = chunks, 0
        self._send_chunk()

    def _send_chunk(self) -> None:
        """One write a turn of the loop, so that every chunk is a packet of its own."""
        if self._transport is None:
            return
        self._transport.write(self._chunks[self._next])
        self._next += 1
        if self._next < len(self._chunks):
            self._later(self._send_chunk)

    def _later(self, step: Callable[[], None]) -> None:
        if self._script.pause_s:
            self._loop.call_later(self._script.pause_s, step)
        else:
            self._loop.call_soon(step)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


async def serve(script: Script, port: int) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: Upstream(script, loop), _LOOPBACK, port, backlog=_BACKLOG
    )


async def _main(script: Script, port: int) -> None:
    server = await serve(script, port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True)
    options = parser.parse_args()
    uvloop.run(_main(Script(options.model), options.port))
