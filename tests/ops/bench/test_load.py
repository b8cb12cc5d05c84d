import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ops.bench.load import drive
from ops.bench.shape import Shape, Target, Window
from ops.bench.upstream import Script, serve

SHORT = Window(warmup_s=0.1, duration_s=0.5, limit_s=2.0)


@asynccontextmanager
async def upstream() -> AsyncIterator[Target]:
    server = await serve(Script("tiny"), 0)
    async with server:
        yield Target(server.sockets[0].getsockname()[1], "tiny")


@asynccontextmanager
async def replying(reply: bytes) -> AsyncIterator[Target]:
    """A broken gateway: answers whatever it is asked with the same bytes, and hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield Target(server.sockets[0].getsockname()[1], "tiny")


@pytest.mark.parametrize("stream", [False, True])
async def test_the_upstream_answers_every_request_whole(*, stream: bool) -> None:
    async with upstream() as target:
        measured = await drive(target, Shape(stream, connections=4), SHORT, time.perf_counter)

    tally = measured.tally
    assert tally.replies > 0
    assert not tally.errors
    assert len(tally.total_s) == tally.replies
    assert (tally.chunks > 0) is stream
    assert measured.closed - measured.opened == pytest.approx(measured.elapsed_s, abs=0.05)


async def test_a_refusal_is_an_error_and_never_a_reply() -> None:
    busy = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"
    async with replying(busy) as target:
        measured = await drive(target, Shape(stream=False, connections=1), SHORT, int)

    assert measured.tally.replies == 0
    assert measured.tally.errors["status 503"] > 0


async def test_a_reply_cut_short_is_an_error_and_its_connection_is_replaced() -> None:
    cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n tok tok"
    async with replying(cut) as target:
        measured = await drive(target, Shape(stream=False, connections=1), SHORT, int)

    assert measured.tally.replies == 0
    assert measured.tally.errors["connection lost"] > 1


async def test_what_is_not_http_is_an_error() -> None:
    async with replying(b"hello?\r\n\r\n") as target:
        measured = await drive(target, Shape(stream=False, connections=1), SHORT, int)

    assert measured.tally.replies == 0
    assert any(error.startswith("not HTTP") for error in measured.tally.errors)
