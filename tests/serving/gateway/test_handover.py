"""Two gateways on one port: one leaves under a storm of connections, and nobody is reset."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from serving.gateway.certificate import Certificate
from serving.gateway.server import Server
from tests.serving.gateway.certificates import knowing, make_pair, missing
from tests.serving.gateway.rig import Client, encode
from tests.serving.gateway.storm import ASK, Storm, start


@pytest.mark.parametrize(
    "over_tls",
    [False, pytest.param(True, marks=pytest.mark.skipif(bool(missing()), reason=missing()))],
    ids=["plain", "tls"],
)
async def test_20_a_gateway_that_leaves_loses_no_connection(tmp_path: Path, over_tls: bool) -> None:
    files = make_pair(tmp_path / "tls") if over_tls else None
    certificate = None if files is None else Certificate(files)
    async with AsyncExitStack() as stack:
        first, port = await start(tmp_path / "a", 0, certificate)
        stack.push_async_callback(first.drain, 0.1)
        second, _ = await start(tmp_path / "b", port, certificate)
        stack.push_async_callback(second.drain, 0.1)
        storm = Storm(port, None if files is None else knowing(files))
        stack.push_async_callback(storm.stop)
        await storm.until(200)
        await first.drain(1.0)
        await storm.until(storm.answers + 200)
        third, _ = await start(tmp_path / "c", port, certificate)
        stack.push_async_callback(third.drain, 0.1)
        await storm.until(storm.answers + 200)
        await second.drain(1.0)
        await storm.until(storm.answers + 200)
        assert storm.failures == []
        await storm.stop()


async def test_both_gateways_of_a_port_get_connections(tmp_path: Path) -> None:
    first, port = await start(tmp_path / "a", 0)
    second, _ = await start(tmp_path / "b", port)
    assert min(await shares(port, first, second)) > 0
    await first.drain(0.1)
    await second.drain(0.1)


async def test_20_a_gateway_that_comes_after_one_has_left_gets_connections_too(
    tmp_path: Path,
) -> None:
    first, port = await start(tmp_path / "a", 0)
    second, _ = await start(tmp_path / "b", port)
    await second.drain(0.1)
    third, _ = await start(tmp_path / "c", port)
    assert min(await shares(port, first, third)) > 0
    await first.drain(0.1)
    await third.drain(0.1)


async def shares(port: int, *servers: Server) -> list[int]:
    """Of 40 clients, how many each of them got."""
    clients = [Client(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(40)]
    for client in clients:
        await client.send(encode("GET", "/healthz"))
        assert (await client.reply()).status == 200
    found = [server.connections for server in servers]
    for client in clients:
        await client.close()
    return found


async def test_the_last_gateway_of_a_port_just_closes(tmp_path: Path) -> None:
    only, port = await start(tmp_path / "a", 0)
    await only.drain(0.1)
    assert not only.is_serving
    again, _ = await start(tmp_path / "b", port)
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    await client.send(ASK)
    assert (await client.reply()).status == 200
    await client.close()
    await again.drain(0.1)
