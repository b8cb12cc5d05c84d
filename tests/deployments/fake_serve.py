"""Serve's REST API as far as Flotilla uses it, on a real port: applications come up after some
looks at them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from deployments.steps import applications_of
from tests.deployments.fake_agents import FakeAgents


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
        #: Of each application's process, what its files hold.
        self.logs: dict[str, dict[str, str]] = {}
        #: Ray's dashboard has the same address, and tells of no node yet.
        self.agents = FakeAgents()
        self.agents.nodes = []
        self._looked: dict[str, int] = {}
        self._leaving: dict[str, int] = {}
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeServe"]:
        app = web.Application()
        app.router.add_get("/api/serve/applications/", self._get)
        app.router.add_put("/api/serve/applications/", self._put)
        app.router.add_get("/nodes", self._nodes)
        app.router.add_get("/api/v0/logs", self._list_logs)
        app.router.add_get("/api/v0/logs/{media_type}", self._log)
        # A log that is followed never ends by itself.
        runner = web.AppRunner(app, shutdown_timeout=0.1)
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

    async def _nodes(self, request: web.Request) -> web.Response:
        return self._refused(request) or await self.agents.answer(request)

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
                "Replica": {
                    "status": "UPDATING",
                    "message": message,
                    "replicas": self._processes(name),
                },
            },
        }

    def _processes(self, name: str) -> list[dict[str, Any]]:
        if name not in self.logs:
            return []
        pid = 100 + list(self.logs).index(name)
        return [{"pid": pid, "node_ip": "10.0.0.1", "log_file_path": f"/serve/{name}.log"}]

    async def _list_logs(self, request: web.Request) -> web.Response:
        """As Ray's dashboard groups them."""
        pid = request.query["glob"].partition("-*-")[2].partition(".")[0]
        name = list(self.logs)[int(pid) - 100]
        printed = [file for file in self.logs[name] if file.startswith("worker-")]
        return web.json_response({"data": {"result": {"worker_out": printed}}})

    async def _log(self, request: web.Request) -> web.StreamResponse:
        """The end of a file; a stream goes on until the client leaves."""
        files = {file: text for each in self.logs.values() for file, text in each.items()}
        text = files.get(request.query["filename"])
        if text is None:
            return web.Response(status=500, text="no such file")
        reply = web.StreamResponse()
        await reply.prepare(request)
        lines = text.splitlines(keepends=True)[-int(request.query["lines"]) :]
        await reply.write("".join(lines).encode())
        if request.match_info["media_type"] == "stream":
            await asyncio.Event().wait()
        return reply

    def _refused(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401, text="Unauthorized: Missing authentication token")
        if self.refusals:
            return web.Response(status=self.refusals.pop(0), text="the GCS may be down")
        return None
