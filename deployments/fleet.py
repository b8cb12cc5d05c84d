"""The fleet: which models should run, in which shape, under which names, and where clients reach
them.
"""

import posixpath
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from cluster.strict import Strict
from deployments.errors import FleetInvalid
from deployments.model import Model, Name, Served
from deployments.rules import problems
from serving.gateway.config import LogForm, Routing
from serving.replica.spec import Device

#: Beyond loopback only when the operator says so, who has to think of TLS then.
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
LAST_PORT = 65535
#: Answers of minutes are normal, and clients wait 600 s by default: a drain waits as long.
DEFAULT_GRACE_S = 600


class Tls(Strict):
    """PEM files, on every node under the same path; the certificate's may hold its chain."""

    #: The certificate, and its chain if it has one.
    certificate: str = Field(min_length=1, max_length=1024)
    #: Its private key.
    key: str = Field(min_length=1, max_length=1024)

    @field_validator("certificate", "key")
    @classmethod
    def _same_everywhere(cls, path: str) -> str:
        if not path.startswith("/") or not path.isprintable():
            raise ValueError("is not an absolute path: every node has the file under the same one")
        return path


class Gateway(Strict):
    """Where clients reach the fleet."""

    #: The address that gateways listen on; `0.0.0.0` is every one of their node.
    host: str = Field(default=DEFAULT_HOST, pattern=r"^[0-9A-Za-z.:_-]+$", max_length=253)
    #: The same on every node.
    port: int = Field(default=DEFAULT_PORT, ge=1, le=65535)
    #: Files of a certificate; without it, plain HTTP.
    tls: Tls | None = None
    #: What decides between replicas; unlike what stands above, changing it restarts nothing.
    routing: Routing = "prefix"
    #: One line for each request, in `~/.flotilla/logs` of every node; changing it restarts nothing.
    access_log: LogForm = "json"


class Dashboard(Strict):
    """Where operators reach the dashboard."""

    #: The address that it listens on; beyond loopback it shows nothing without its key.
    host: str = Field(default=DEFAULT_HOST, pattern=r"^[0-9A-Za-z.:_-]+$", max_length=253)
    #: Without it, the one after the gateway's.
    port: int | None = Field(default=None, ge=1, le=65535)


class Fleet(Strict):
    """A fleet that could run: every rule holds, or making it raises FleetInvalid."""

    #: What an accelerator is: a GPU, or a slot of a CPU-only node.
    device: Device = "gpu"
    #: How long a gateway or a replica that stops may finish what it has.
    grace_s: int = Field(default=DEFAULT_GRACE_S, ge=1, le=86400)
    #: Where clients reach the fleet.
    gateway: Gateway = Gateway()
    #: Where operators reach the dashboard.
    dashboard: Dashboard = Dashboard()
    #: The URL of an OpenTelemetry collector that takes spans as OTLP over HTTP, such as
    #: `http://10.0.0.9:4318/v1/traces`; without it nothing is traced.
    traces: str | None = Field(default=None, pattern=r"^https?://[^\s@/]+/\S+$", max_length=1024)
    #: How the processes log: `text` for people, or a line of JSON each; changing it restarts
    #: nothing. Requests have a log of their own: `gateway: {access_log}`.
    logs: Literal["text", "json"] = "text"
    #: The inventory that this fleet is for; a path from the fleet file, absolute once it is loaded.
    inventory: str | None = Field(default=None, min_length=1, max_length=1024)
    #: By the name that clients send; in the order of the listing of models.
    models: Annotated[Mapping[Name, Model], Field(min_length=1, max_length=1000)]

    @field_validator("inventory")
    @classmethod
    def _absolute(cls, path: str | None, info: ValidationInfo) -> str | None:
        directory = (info.context or {}).get("directory", "")
        if path is not None and not path.isprintable():
            raise ValueError("is not printable text")
        return None if path is None else posixpath.normpath(posixpath.join(directory, path))

    @field_validator("dashboard")
    @classmethod
    def _has_its_own_port(cls, dashboard: Dashboard, info: ValidationInfo) -> Dashboard:
        gateway = info.data.get("gateway")
        if gateway is not None and dashboard.port == gateway.port:
            raise ValueError(f"port {dashboard.port} is the gateway's: give each its own")
        return dashboard

    @model_validator(mode="after")
    def _rules_hold(self) -> Self:
        found = problems(self.models, self.device)
        if found:
            raise FleetInvalid(found)
        return self

    @property
    def dashboard_port(self) -> int:
        beside = self.gateway.port + (1 if self.gateway.port < LAST_PORT else -1)
        return self.dashboard.port or beside

    def served(self) -> dict[str, Served]:
        """The models with replicas of their own."""
        return {name: model for name, model in self.models.items() if isinstance(model, Served)}
