"""Where commands of the head ask the Controller what it knows, at the price of a local call.

A socket in Flotilla's own folder (mode 0700), so the system says who may ask and nothing listens on
the network. Serve's handles stay for what changes something: they cost a driver of Ray's each time.
"""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

SOCKET_NAME = "controller.sock"
STATUS_PATH = "/status"

Status = Callable[[], Awaitable[dict[str, Any]]]


class ControlSocket:
    """Answers until it is closed. The newest Controller has the name: one that is being replaced
    goes on answering whoever is connected.
    """

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner = runner

    @classmethod
    async def open(cls, folder: Path, status: Status) -> "ControlSocket":
        """Raises OSError, also where the folder's path is too long for a socket."""
        app = web.Application()

        async def answer(_: web.Request) -> web.Response:
            return web.json_response(await status(), dumps=_dumps)

        app.router.add_get(STATUS_PATH, answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        path = folder / SOCKET_NAME
        try:
            await web.UnixSite(runner, str(path)).start()
            path.chmod(0o600)
        except OSError:
            await runner.cleanup()
            raise
        return cls(runner)

    async def close(self) -> None:
        await self._runner.cleanup()


def _dumps(value: Any) -> str:
    # Sets of models and digests of keys are nobody's business here: what JSON lacks is a mistake.
    return json.dumps(value, separators=(",", ":"))
