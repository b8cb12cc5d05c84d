"""The private port of an engine: a uvicorn server on a socket of the system's choice."""

import asyncio
from typing import Any

import uvicorn

from serving.replica.errors import EngineFailed
from serving.replica.network import listening_socket

#: Longer than the gateways keep an idle connection, so that they close first.
KEEP_ALIVE_S = 120
POLL_S = 0.01


class Port:
    """Serves an ASGI app until it is closed or its server ends by itself."""

    def __init__(self, server: uvicorn.Server, task: "asyncio.Task[None]", address: str) -> None:
        self.server = server
        self._task = task
        #: `host:port`
        self.address = address

    @classmethod
    async def open(cls, app: Any, node: str) -> "Port":
        """Returns when the server accepts. Raises EngineFailed."""
        config = uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        sock = listening_socket(node)
        task = asyncio.create_task(server.serve(sockets=[sock]))
        while not server.started:
            if task.done():
                raise EngineFailed("the engine's HTTP server did not start")
            await asyncio.sleep(POLL_S)
        return cls(server, task, f"{node}:{sock.getsockname()[1]}")

    @property
    def is_closed(self) -> bool:
        return self._task.done()

    async def close(self) -> None:
        """Ends the server; what still runs is cut."""
        self.server.should_exit = True
        await self._task
