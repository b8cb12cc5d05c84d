"""Serve's REST API: the one module that talks to it. Values in, values out; every call has a
deadline.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from os import environ
from typing import Any

import aiohttp

from deployments.errors import ServeRefused, ServeUnreachable
from deployments.ray_token import ray_token

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
#: Ray's own variable for the address of its dashboard.
ADDRESS_VARIABLE = "RAY_DASHBOARD_ADDRESS"
APPLICATIONS_PATH = "/api/serve/applications/"
#: The first PUT starts Serve itself.
CALL_DEADLINE_S = 60.0
MAX_CAUSE_CHARS = 2000


class Status(StrEnum):
    """Serve's word for the state of an application."""

    NOT_STARTED = "NOT_STARTED"
    DEPLOYING = "DEPLOYING"
    DEPLOY_FAILED = "DEPLOY_FAILED"
    RUNNING = "RUNNING"
    UNHEALTHY = "UNHEALTHY"
    DELETING = "DELETING"


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a deployment, starting ones too."""

    pid: int
    node_ip: str
    #: Of its log, below Ray's folder of logs on that node.
    log_path: str


@dataclass(frozen=True, slots=True)
class Application:
    """One application as Serve sees it."""

    name: str
    status: Status
    message: str
    #: The config it was last given; None when it did not come by this API, or is going.
    config: Mapping[str, Any] | None
    #: What it says of each of its deployments.
    deployment_messages: tuple[str, ...]
    processes: tuple[Process, ...] = ()

    def cause(self) -> str:
        """Why it is not running, as far as Serve says."""
        said = [self.message, *self.deployment_messages]
        return "\n".join(text.strip() for text in said if text.strip())


def user_config(
    applications: Mapping[str, Application], name: str, deployment: str
) -> Mapping[str, Any]:
    """What a deployment of an application was last told; nothing where nobody told it anything."""
    config = applications[name].config if name in applications else None
    deployments = (config or {}).get("deployments", ())
    told = (each.get("user_config") for each in deployments if each["name"] == deployment)
    return next(told, None) or {}


class ServeControl:
    """Use as an async context manager."""

    def __init__(self, address: str = "", token: str | None = None) -> None:
        self._address = (address or environ.get(ADDRESS_VARIABLE, DEFAULT_ADDRESS)).rstrip("/")
        token = token if token is not None else ray_token()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session = aiohttp.ClientSession(
            headers=headers, timeout=aiohttp.ClientTimeout(total=CALL_DEADLINE_S)
        )

    async def __aenter__(self) -> "ServeControl":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends its connections."""
        await self._session.close()

    async def applications(self) -> dict[str, Application]:
        """All applications by name; none when Serve does not run yet. Raises ServeError."""
        body = await self._call("GET")
        try:
            found = json.loads(body)["applications"]
            return {name: _application(name, raw) for name, raw in found.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ServeUnreachable(f"{self._address} is no Ray dashboard: {error!r}") from error

    async def put(self, config: Mapping[str, Any]) -> None:
        """Makes `config` all that should run: what it leaves out goes. Raises ServeError."""
        await self._call("PUT", config)

    async def shut_down(self) -> None:
        """Stops every application and Serve itself; Serve waits half a minute for them, no longer.
        Raises ServeError.
        """
        await self._call("DELETE")

    async def _call(self, method: str, body: Mapping[str, Any] | None = None) -> str:
        url = self._address + APPLICATIONS_PATH
        try:
            async with self._session.request(method, url, json=body) as reply:
                text = await reply.text()
        except TimeoutError as late:
            message = f"Serve's API at {self._address} did not answer in {CALL_DEADLINE_S:.0f} s"
            raise ServeUnreachable(message) from late
        except aiohttp.ClientError as error:
            raise ServeUnreachable(
                f"no Ray dashboard answers at {self._address}: run `make up`"
            ) from error
        if reply.status in (401, 403):
            raise ServeRefused(
                reply.status, "the Ray token is missing or wrong: see RAY_AUTH_TOKEN_PATH"
            )
        if reply.status != 200:
            raise ServeRefused(reply.status, text.strip()[-MAX_CAUSE_CHARS:])
        return text


def _application(name: str, raw: Mapping[str, Any]) -> Application:
    return Application(
        name=name,
        status=Status(raw["status"]),
        message=raw.get("message") or "",
        config=raw.get("deployed_app_config"),
        deployment_messages=tuple(
            each.get("message") or "" for each in raw.get("deployments", {}).values()
        ),
        processes=tuple(
            Process(found["pid"], found["node_ip"], (found.get("log_file_path") or "").lstrip("/"))
            for each in raw.get("deployments", {}).values()
            for found in each.get("replicas") or ()
            if found.get("pid") and found.get("node_ip")
        ),
    )
