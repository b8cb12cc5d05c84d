"""Two gateways on one port: one leaves under a storm of connections, and nobody is reset."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from serving.gateway.core import GatewayCore
from serving.gateway.server import Server, listen
from serving.snapshot import Snapshot
from serving.spool import Spool
from tests.fakes import TOKEN
from tests.serving.gateway.rig import KEY_RECORD, QUICK, Client, encode, model

CLIENTS = 40
ASK = encode("GET", "/v1/models", headers={"connection": "close"})


async def start(folder: Path, port: int) -> tuple[Server, int]:
    core = GatewayCore(Spool(folder, "gw"), QUICK)
    core.apply_user_config({"models": [model()]})
    core.apply_snapshot(Snapshot(1, (KEY_RECORD,), (), TOKEN))
    server = Server(core)
    sock = listen("127.0.0.1", port)
    await server.start(sock)
    bound: int = sock.getsockname()[1]
    return server, bound


class Storm:
    """Clients that connect, ask once and come again."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.answers = 0
        self._answered = asyncio.Event()
        self.failures: list[str] = []
        self._tasks = [asyncio.create_task(self._client()) for _ in range(CLIENTS)]

    async def _client(self) -> None:
        while True:
            try:
                await self._ask()
                self.answers += 1
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                self.failures.append(repr(error))
            self._answered.set()

    async def _ask(self) -> None:
        client = Client(*await asyncio.open_connection("127.0.0.1", self._port))
        try:
            await client.send(ASK)
            assert (await client.reply()).status == 200
        finally:
            client.reset()

    async def until(self, answers: int) -> None:
        async with asyncio.timeout(30):
            while self.answers < answers and not self.failures:
                self._answered.clear()
                await self._answered.wait()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def test_20_a_gateway_that_leaves_loses_no_connection(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        first, port = await start(tmp_path / "a", 0)
        stack.push_async_callback(first.drain, 0.1)
        second, _ = await start(tmp_path / "b", port)
        stack.push_async_callback(second.drain, 0.1)
        storm = Storm(port)
        stack.push_async_callback(storm.stop)
        await storm.until(200)
        await first.drain(1.0)
        await storm.until(storm.answers + 200)
        third, _ = await start(tmp_path / "c", port)
        stack.push_async_callback(third.drain, 0.1)
        await storm.until(storm.answers + 200)
        await second.drain(1.0)
        await storm.until(storm.answers + 200)
        assert storm.failures == []
        await storm.stop()


async def test_both_gateways_of_a_port_get_connections(tmp_path: Path) -> None:
    first, port = await start(tmp_path / "a", 0)
    second, _ = await start(tmp_path / "b", port)
    clients = [Client(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(40)]
    for client in clients:
        await client.send(encode("GET", "/healthz"))
        assert (await client.reply()).status == 200
    shares = [len(server._connections) for server in (first, second)]
    assert min(shares) > 0
    for client in clients:
        await client.close()
    await first.drain(0.1)
    await second.drain(0.1)


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
