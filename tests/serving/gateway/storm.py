"""Two gateways on one port, and clients that come, ask once and come again."""

import asyncio
import ssl
from pathlib import Path

from serving.gateway.certificate import Certificate
from serving.gateway.core import GatewayCore
from serving.gateway.server import Server, listen
from serving.snapshot import Snapshot
from serving.spool import Spool
from tests.fakes import TOKEN
from tests.serving.gateway.rig import KEY_RECORD, QUICK, Client, encode, model

CLIENTS = 40
ASK = encode("GET", "/v1/models", headers={"connection": "close"})
ASK_AND_STAY = encode("GET", "/v1/models")


async def start(
    folder: Path, port: int, certificate: Certificate | None = None
) -> tuple[Server, int]:
    core = GatewayCore(Spool(folder, "gw"), QUICK)
    core.apply_user_config({"models": [model()]})
    core.apply_snapshot(Snapshot(1, (KEY_RECORD,), (), TOKEN))
    server = Server(core, certificate)
    sock = listen("127.0.0.1", port)
    await server.start(sock)
    bound: int = sock.getsockname()[1]
    return server, bound


class Storm:
    """Clients that ask again and again, on one connection for as long as they are let."""

    def __init__(
        self, port: int, tls: ssl.SSLContext | None = None, ask: bytes = ASK, clients: int = CLIENTS
    ) -> None:
        self._port = port
        self._tls = tls
        self._ask = ask
        self.answers = 0
        self._answered = asyncio.Event()
        self.failures: list[str] = []
        self._tasks = [asyncio.create_task(self._client()) for _ in range(clients)]

    async def _client(self) -> None:
        while True:
            try:
                await self._one_connection()
            except (OSError, EOFError, AssertionError) as error:
                self.failures.append(repr(error))
            self._answered.set()

    async def _one_connection(self) -> None:
        client = Client(*await asyncio.open_connection("127.0.0.1", self._port, ssl=self._tls))
        try:
            is_kept = True
            while is_kept:
                await client.send(self._ask)
                reply = await client.reply()
                assert reply.status == 200
                is_kept = reply.headers.get("connection") != "close"
                self.answers += 1
                self._answered.set()
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
