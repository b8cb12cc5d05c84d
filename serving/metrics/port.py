"""The private port of a process for Prometheus: one route, one token, nothing else.

It listens on the node's private address, as engines do. Readings are taken on the event loop, for
they belong to it; their text is made in a thread, so that a scrape holds up no token.
"""

import asyncio
import hmac
from collections.abc import Callable, Iterable

from aiohttp import web
from prometheus_client import ProcessCollector
from prometheus_client.registry import CollectorRegistry

from serving.metrics.exposition import CONTENT_TYPE, Reading, Readings, exposition

PATH = "/metrics"
#: A scrape has no body.
_BODY_BYTES = 1024


class MetricsPort:
    """`token` is asked with every scrape; an empty one opens to nobody."""

    def __init__(self, readings: Callable[[], Iterable[Reading]], token: Callable[[], str]) -> None:
        self._readings = readings
        self._token = token
        self._process = ProcessCollector(registry=CollectorRegistry(auto_describe=False))
        self._runner: web.AppRunner | None = None
        #: `host:port`, empty until it listens.
        self.address = ""

    async def open(self, node: str) -> None:
        """Listens on a port of the system's choice. Raises OSError."""
        application = web.Application(client_max_size=_BODY_BYTES)
        application.router.add_get(PATH, self._answer)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, node, 0).start()
        host, port = self._runner.addresses[0][:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def close(self) -> None:
        self.address = ""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        given, token = request.headers.get("authorization", ""), self._token()
        if not token or not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return web.Response(status=401, headers={"www-authenticate": "Bearer"})
        taken = list(self._readings())
        text = await asyncio.to_thread(exposition, Readings(lambda: taken), self._process)
        return web.Response(body=text, headers={"content-type": CONTENT_TYPE})
