"""Serve's REST API as far as Flotilla uses it, on a real port: applications come up after some
looks at them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from deployments.steps import applications_of


class FakeServe:
    """Set the fields before or while it is used."""

    def __init__(self) -> None:
        self.token = "token"
        self.puts: list[dict[str, Any]] = []
        self.running: dict[str, Any] = {}
        #: Applications that never come up, and what Serve says of them.
        self.broken: dict[str, str] = {}
        #: Applications that neither come up nor fail.
        self.stuck: set[str] = set()
        #: Looks before an application is RUNNING, or gone.
        self.looks = 1
        #: Statuses of the next answers, before ordinary ones again.
        self.refusals: list[int] = []
        #: How many looks after each PUT are refused.
        self.refused_looks = 0
        self._looked: dict[str, int] = {}
        self._leaving: dict[str, int] = {}
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeServe"]:
        app = web.Application()
        app.router.add_get("/api/serve/applications/", self._get)
        app.router.add_put("/api/serve/applications/", self._put)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def run(self, config: dict[str, Any]) -> None:
        """Starts with these applications up."""
        self.running = applications_of(config)
        self._looked = dict.fromkeys(self.running, self.looks)

    async def _put(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        config = await request.json()
        self.puts.append(config)
        wanted = applications_of(config)
        for name in [name for name in self.running if name not in wanted]:
            self._leaving[name] = 0
        self._looked = {
            name: self._looked.get(name, 0) if self.running.get(name) == app else 0
            for name, app in wanted.items()
        }
        self.running = dict(wanted)
        self.refusals = [503] * self.refused_looks
        return web.Response()

    async def _get(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        details = {name: self._details(name, app) for name, app in self.running.items()}
        for name in [name for name in self._leaving if name not in self.running]:
            self._leaving[name] += 1
            if self._leaving[name] > self.looks:
                del self._leaving[name]
            else:
                details[name] = {"status": "DELETING", "message": "", "deployments": {}}
        return web.json_response({"applications": details, "proxies": {}})

    def _details(self, name: str, app: dict[str, Any]) -> dict[str, Any]:
        self._looked[name] += 1
        up = self._looked[name] > self.looks
        status = "RUNNING" if up else "DEPLOYING"
        message = ""
        if name in self.broken:
            status, message = "DEPLOY_FAILED", self.broken[name]
        if name in self.stuck:
            status = "DEPLOYING"
        return {
            "status": status,
            "message": "",
            "deployed_app_config": app,
            "last_deployed_time_s": 1.5,
            "deployments": {
                "Replica": {"status": "UPDATING", "message": message, "replicas": []},
            },
        }

    def _refused(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401, text="Unauthorized: Missing authentication token")
        if self.refusals:
            return web.Response(status=self.refusals.pop(0), text="the GCS may be down")
        return None
