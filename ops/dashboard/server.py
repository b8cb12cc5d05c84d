"""The dashboard's HTTP server: on a socket of its own, beside Serve's proxies."""

import asyncio
import socket

import uvicorn
from starlette.types import ASGIApp

#: Of an open page: it comes again by itself.
GRACE_S = 1
POLL_S = 0.02


class Server:
    """Serves until it is stopped."""

    def __init__(self, app: ASGIApp) -> None:
        config = uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        self._server = uvicorn.Server(config)
        self._task: asyncio.Task[None] | None = None

    @property
    def is_serving(self) -> bool:
        return self._task is not None and not self._task.done()

    async def start(self, sock: socket.socket) -> None:
        """Returns when it answers. Raises RuntimeError when it does not begin."""
        self._task = asyncio.create_task(self._server.serve(sockets=[sock]))
        # uvicorn tells it by a flag only.
        while not self._server.started:
            if self._task.done():
                raise RuntimeError("the dashboard's server did not start")
            await asyncio.sleep(POLL_S)

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._task is not None:
            await self._task
