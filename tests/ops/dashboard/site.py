"""The dashboard as it is served: on a real port, in a thread with a loop of its own.

The loop is uvloop's, as an actor's of Ray is: asyncio's own forgets a connection that arrives while
its server closes, and a browser opens some ahead of need.
"""

import asyncio
import itertools
import socket
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from deployments.errors import ServeUnreachable
from deployments.serve_control import Application
from deployments.steps import Config
from ops.dashboard.app import app
from ops.dashboard.deploys import Deploys
from ops.dashboard.door import Door
from ops.dashboard.playground import Playground
from ops.dashboard.server import Server
from ops.dashboard.source import Source
from ops.dashboard.watch import Watch
from ops.endpoint import Address

KEY = "k" * 64
#: Faster than in life, so that nobody waits.
PERIOD_S = 0.1
DEADLINE_S = 20

T = TypeVar("T")


class _NoServe:
    """For pages on which nothing is deployed."""

    async def applications(self) -> dict[str, Application]:
        raise ServeUnreachable("nobody answers")

    async def put(self, _: Config) -> None:
        raise ServeUnreachable("nobody answers")


class Site:
    """Use as a context manager."""

    def __init__(
        self,
        source: Source,
        host: str = "127.0.0.1",
        gateway: str = "",
        deploys: Deploys | None = None,
    ) -> None:
        self.source = source
        self._deploys = deploys or Deploys(_NoServe(), Path("/none"))
        self._host = host
        self._gateway = gateway or "http://127.0.0.1:1/v1"
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Site":
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)
        self._loop.close()

    async def _start(self) -> None:
        secrets = (f"secret-{number}" for number in itertools.count())
        door = Door(KEY, self._host, time.monotonic, lambda: next(secrets))
        self._watch = Watch(self.source, PERIOD_S)
        chat = Playground(Address(self._gateway))
        self._server = Server(app(self._watch, door, self.source, chat, self._deploys))
        sock = socket.create_server(("127.0.0.1", 0))
        self.port = sock.getsockname()[1]
        await self._server.start(sock)
        self._watching = asyncio.create_task(self._watch.run())

    async def _stop(self) -> None:
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        await self._deploys.close()
        await self._server.stop()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(DEADLINE_S)
