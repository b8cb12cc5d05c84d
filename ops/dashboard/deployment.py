"""The dashboard as a Serve deployment: Serve places it on the head, checks its health, stops it.
Pages never pass through Serve.

It asks the Controller by a handle and Serve by its control API, and keeps nothing that matters: who
was signed in signs in again after a restart.
"""

import asyncio
import errno
import secrets
import socket
import time
from collections.abc import Awaitable
from typing import Any

from ray import serve
from ray.serve import Application

from deployments.dashboard import DASHBOARD_DEPLOYMENT
from deployments.fleet import Gateway
from deployments.node_agents import NodeAgents
from deployments.serve_control import ServeControl
from ops.dashboard.app import app
from ops.dashboard.deploys import Deploys
from ops.dashboard.door import Door
from ops.dashboard.playground import Playground
from ops.dashboard.server import Server
from ops.dashboard.source import FleetSource
from ops.dashboard.watch import Watch
from ops.endpoint import address_of
from ops.in_flight_client import InFlightClient
from serving.controller_handle import over_grpc
from serving.gateway.server import listen
from serving.keystore import INTERNAL_TOKEN_FILE, home, secret_file
from serving.serve_log import join_serve_log
from serving.snapshot import CONTROLLER_DEPLOYMENT, INGRESS_APPLICATION

KEY_FILE = "dashboard_key"


class Dashboard:
    async def __init__(self, host: str, port: int, gateway: dict[str, Any]) -> None:  # type: ignore[misc]  # Serve awaits it
        join_serve_log()
        handle = serve.get_deployment_handle(CONTROLLER_DEPLOYMENT, INGRESS_APPLICATION)
        self._control = ServeControl()
        self._requests = InFlightClient(secret_file(home() / INTERNAL_TOKEN_FILE))
        self._agents = NodeAgents()
        source = FleetSource(over_grpc(handle), self._control, self._requests, self._agents)
        watch = Watch(source)
        door = Door(secret_file(home() / KEY_FILE), host, time.monotonic, secrets.token_urlsafe)
        chat = Playground(address_of(Gateway.model_validate(gateway)))
        self._deploys = Deploys(self._control, home())
        self._server = Server(app(watch, door, source, chat, self._deploys))
        await self._server.start(_listen(host, port))
        self._watching = asyncio.create_task(watch.run())

    async def check_health(self) -> None:
        if not self._server.is_serving:
            raise RuntimeError("the dashboard no longer listens")
        if self._watching.done():
            raise RuntimeError("the dashboard no longer looks at the fleet")

    def __del__(self) -> Awaitable[None] | None:
        """Serve awaits this once before it ends the process; Python's own call finds nothing to
        do.
        """
        server: Server | None = self.__dict__.pop("_server", None)
        return None if server is None else self._leave(server)

    async def _leave(self, server: Server) -> None:
        self._watching.cancel()
        await self._deploys.close()
        await server.stop()
        await self._control.close()
        await self._requests.close()
        await self._agents.close()


def _listen(host: str, port: int) -> socket.socket:
    """Another dashboard that is about to stop may share the port."""
    try:
        sock = listen(host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        taken = f"port {port} on {host} is taken by another program"
        raise RuntimeError(f"{taken}: give the dashboard another one in the fleet file") from None
    sock.listen()
    return sock


def application(args: dict[str, Any]) -> Application:
    """Builds the application from the `args` of a rendered Serve config."""
    deployment = serve.deployment(name=DASHBOARD_DEPLOYMENT)(Dashboard)
    return deployment.bind(args["host"], args["port"], args["gateway"])
