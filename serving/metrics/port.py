"""The private port of a process: its metrics for Prometheus, and what else of it may be asked. Each
route has a token of its own, and there is nothing besides.

It listens on the node's private address, as engines do. Readings are taken on the event loop, for
they belong to it; their text is made in a thread, so that a scrape holds up no token.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import ProcessCollector
from prometheus_client.registry import CollectorRegistry

from serving.metrics.exposition import CONTENT_TYPE, Reading, Readings, exposition

PATH = "/metrics"
#: Nobody sends a body here.
_BODY_BYTES = 1024

Token = Callable[[], str]
"""Asked with every call; an empty one opens to nobody."""
_Answer = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """What may be asked besides metrics."""

    path: str
    #: JSON, made on the event loop.
    answer: Callable[[], bytes]
    token: Token


class MetricsPort:
    def __init__(
        self,
        readings: Callable[[], Iterable[Reading]],
        token: Token,
        routes: Iterable[Route] = (),
    ) -> None:
        self._readings = readings
        self._token = token
        self._routes = tuple(routes)
        self._process = ProcessCollector(registry=CollectorRegistry(auto_describe=False))
        self._runner: web.AppRunner | None = None
        #: `host:port`, empty until it listens.
        self.address = ""

    async def open(self, node: str) -> None:
        """Listens on a port of the system's choice. Raises OSError."""
        application = web.Application(client_max_size=_BODY_BYTES)
        application.router.add_get(PATH, _guarded(self._token, self._scraped))
        for route in self._routes:
            application.router.add_get(route.path, _guarded(route.token, _json(route.answer)))
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, node, 0).start()
        host, port = self._runner.addresses[0][:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def close(self) -> None:
        self.address = ""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _scraped(self, _: web.Request) -> web.Response:
        taken = list(self._readings())
        text = await asyncio.to_thread(exposition, Readings(lambda: taken), self._process)
        return web.Response(body=text, headers={"content-type": CONTENT_TYPE})


def _guarded(token: Token, answer: _Answer) -> _Answer:
    """Answers whoever has the token."""

    async def answered(request: web.Request) -> web.Response:
        given = request.headers.get("authorization", "").encode(errors="surrogateescape")
        wanted = token()
        if not wanted or not hmac.compare_digest(given, f"Bearer {wanted}".encode()):
            return web.Response(status=401, headers={"www-authenticate": "Bearer"})
        return await answer(request)

    return answered


def _json(answer: Callable[[], bytes]) -> _Answer:
    async def answered(_: web.Request) -> web.Response:
        return web.Response(body=answer(), content_type="application/json")

    return answered
