"""A gateway's process that stood still, on a machine that was paused, blames nobody for it."""

import asyncio
import os
import socket
import time
from contextlib import closing

import pytest

from serving.gateway.connection import ClientConnection
from tests.serving.gateway.rig import QUICK, Rig, encode

LONGER_THAN_A_TICK_S = 5 * QUICK.tick_s


async def test_what_came_meanwhile_is_read_before_deadlines_are_looked_at(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    read, sweep = ClientConnection.data_received, ClientConnection.sweep

    def noted_read(self: ClientConnection, data: bytes) -> None:
        order.append("read")
        read(self, data)

    def noted_sweep(self: ClientConnection, now_s: float) -> None:
        order.append("sweep")
        sweep(self, now_s)

    monkeypatch.setattr(ClientConnection, "data_received", noted_read)
    monkeypatch.setattr(ClientConnection, "sweep", noted_sweep)
    client = await rig.connect()
    await client.request("GET", "/healthz")
    assert (await client.reply()).status == 200
    descriptor = client.writer.get_extra_info("socket").fileno()

    def stands_still() -> None:
        """Between two looks at sockets, as reading another one would."""
        loop.remove_reader(ear)
        os.write(descriptor, encode("GET", "/healthz"))
        time.sleep(LONGER_THAN_A_TICK_S)
        order.clear()

    loop = asyncio.get_running_loop()
    mouth, ear = socket.socketpair()
    with closing(mouth), closing(ear):
        loop.add_reader(ear, stands_still)
        mouth.send(b"x")
        assert (await client.reply()).status == 200
    assert order[0] == "read"
