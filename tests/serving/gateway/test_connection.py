"""The order of bytes on one connection, with a transport that delivers them when the test says."""

import asyncio
from typing import Any, cast

from serving.bounds import Deadlines
from serving.errors import ApiError
from serving.gateway.connection import ClientConnection
from serving.gateway.exchange import Exchange
from serving.gateway.outbox import Outbox
from serving.gateway.parser import Head

REQUEST = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody"


class FakeTransport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int) -> None:
        del high


class FakeApp:
    """Keeps exchanges until the test answers them."""

    deadlines = Deadlines()
    is_draining = False

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.outbox = Outbox(asyncio.get_running_loop())

    def check_head(self, head: Head) -> ApiError | None:
        del head
        return None

    def serve(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    def answered(self, exchange: Exchange) -> None:
        """Nobody counts."""

    def new_id(self) -> str:
        return "0" * 32


async def test_bytes_that_come_between_an_answer_and_the_next_request_keep_their_place() -> None:
    app, transport = FakeApp(), FakeTransport()
    connection = ClientConnection(app, set(), asyncio.get_running_loop())
    connection.connection_made(cast(Any, transport))
    connection.data_received(REQUEST)
    connection.data_received(REQUEST[:20])
    app.exchanges[0].reply(b"{}")
    connection.data_received(REQUEST[20:])
    await asyncio.sleep(0)
    assert len(app.exchanges) == 1 + 1
    app.exchanges[1].reply(b"{}")
    await asyncio.sleep(0)
    assert transport.written.count(b"HTTP/1.1 200") == 2
    assert b"400" not in transport.written
