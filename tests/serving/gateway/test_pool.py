"""A reply's body does not depend on how its bytes were cut into reads."""

import asyncio
import contextlib
import errno
from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.gateway.chunk import chunk
from serving.gateway.outbox import Outbox
from serving.gateway.pool import Pool, UpstreamConnection

HEAD = b"HTTP/1.1 200 OK\r\nserver: uvicorn\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
NASTY = [b"\r\n", b"0\r\n\r\n", b"3\r\nabc\r\n", b"x", b"y" * 5_000, b"z" * 15, b"z" * 256]


class Wire:
    is_aborted = False

    def is_closing(self) -> bool:
        return self.is_aborted

    def write(self, data: bytes) -> None: ...

    def abort(self) -> None:
        self.is_aborted = True


class Listener:
    def __init__(self) -> None:
        self.body = b""
        self.ends = 0
        self.losses = 0
        self.silences = 0

    def on_head(self, status: int, headers: dict[bytes, bytes]) -> None:
        assert status == 200

    def on_data(self, data: bytes) -> None:
        assert not self.ends
        self.body += data

    def on_end(self) -> None:
        self.ends += 1

    def on_lost(self) -> None:
        self.losses += 1

    def on_silent(self) -> None:
        self.silences += 1


class AtOnce(Outbox):
    """Without a loop."""

    def __init__(self) -> None: ...

    def add(self, flush: Callable[[], None]) -> None:
        flush()


def connected(outbox: Outbox | None = None) -> UpstreamConnection:
    connection = UpstreamConnection(Pool("127.0.0.1:1", outbox or AtOnce()))
    connection.connection_made(cast(asyncio.Transport, Wire()))
    return connection


def exchange(connection: UpstreamConnection, reads: list[bytes]) -> Listener:
    listener = Listener()
    connection.send(b"POST", listener)
    for read in reads:
        connection.data_received(read)
    return listener


def cut(raw: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % len(raw) for place in places} - {0})
    return [raw[a:b] for a, b in zip([0, *ends], [*ends, len(raw)], strict=True)]


PIECES = st.lists(st.sampled_from(NASTY) | st.binary(min_size=1, max_size=40), max_size=6)


@given(PIECES, st.lists(st.integers(0, 20_000), max_size=8), st.booleans())
def test_a_body_comes_through_however_it_is_cut(
    pieces: list[bytes], places: list[int], at_chunks: bool
) -> None:
    framed = [HEAD, *map(chunk, pieces), END]
    ends = [len(b"".join(framed[:n])) for n in range(1, len(framed))] if at_chunks else []
    connection = connected()
    for _ in range(2):  # the second exchange finds nothing left of the first
        listener = exchange(connection, cut(b"".join(framed), places + ends))
        assert listener.body == b"".join(pieces)
        assert (listener.ends, listener.losses) == (1, 0)


def test_a_read_behind_part_of_a_size_line_is_no_chunk_of_its_own() -> None:
    listener = exchange(connected(), [HEAD + chunk(b"abc") + b"3", chunk(b"def")])
    assert listener.body == b"abcdef\r\n"  # the first 5 of the 0x33 bytes announced


@pytest.mark.parametrize("read", [b"zz\r\nabc\r\n", b"-1\r\nabc\r\n", b"4\r\nabc\r\n1\r\n"])
def test_broken_framing_between_chunks_loses_the_connection(read: bytes) -> None:
    listener = exchange(connected(), [HEAD + chunk(b"abc"), chunk(b"def"), read])
    assert listener.losses == 1
    assert listener.body.startswith(b"abcdef")


@pytest.mark.parametrize(
    ("loss", "is_silence"),
    [
        (TimeoutError(), True),
        (OSError(errno.EHOSTUNREACH, "no route"), True),
        (ConnectionResetError(), False),
        (None, False),
    ],
)
def test_a_peer_that_the_kernel_gave_up_is_told_from_one_that_left(
    loss: Exception | None, is_silence: bool
) -> None:
    connection = connected()
    listener = exchange(connection, [])
    connection.connection_lost(loss)
    assert (listener.silences, listener.losses) == (is_silence, not is_silence)


async def test_a_connect_that_is_given_up_as_it_succeeds_leaves_no_connection() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        pool = Pool(f"127.0.0.1:{port}", AtOnce())
        for number in range(200):
            connecting = asyncio.ensure_future(pool.connect(5.0))
            for _ in range(number % 8):
                await asyncio.sleep(0)
            connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                (await connecting).close()
        for _ in range(100):
            await asyncio.sleep(0.001)
        assert pool._all == set()
