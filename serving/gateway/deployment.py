"""The gateway as a Serve deployment: Serve places it, checks its health, stops it. Requests never
pass through Serve.

A replica of this deployment owns a listening socket that the other gateway of its node shares. It
listens only once it knows the keys, the replicas and the models: before that its word would be
wrong. Then it asks the Controller for news, which answers when it has some or after about a
second, and goes on with the last it has when nobody answers.
"""

import asyncio
import errno
import logging
import os
import secrets
import socket
import time
from collections.abc import Awaitable
from typing import Any, Protocol

import ray

from serving.controller_handle import over_grpc
from serving.gateway import collector, heap
from serving.gateway.access_log import AccessLog
from serving.gateway.certificate import Certificate, TlsFiles
from serving.gateway.config import LogForm
from serving.gateway.core import GatewayCore
from serving.gateway.in_flight import in_flight_json
from serving.gateway.inquest import Interrupted, unless
from serving.gateway.leasing import Leasing
from serving.gateway.readings import readings
from serving.gateway.server import Server, listen
from serving.gateway.shipper import Shipper
from serving.gateway.tracing import Tracing
from serving.in_flight import PATH
from serving.keystore import home
from serving.limits.lease import Lease, ShareReport
from serving.metrics.port import MetricsPort, Route
from serving.serve_log import join_serve_log
from serving.snapshot import GatewayReport, Snapshot
from serving.spool import Spool

#: Between an answer and the next question: the Controller decides how long it waits with an answer,
#: this is for one that does not wait.
PAUSE_S = 0.05
#: After a question that was not answered.
RETRY_S = 0.25
#: A Controller that has not answered by then is busy or gone; the next try is as good.
POLL_DEADLINE_S = 5.0
#: The ledger's own deadlines are shorter, and several gateways may wait in its line.
SHIP_DEADLINE_S = 30.0
#: The Controller starts beside the gateways and waits for reports before it gives out a snapshot.
FIRST_NEWS_DEADLINE_S = 120.0

_log = logging.getLogger(__name__)


class _Exchange(Protocol):
    def remote(self, report: GatewayReport, known_version: int) -> Awaitable[Snapshot | None]: ...


class _Lend(Protocol):
    def remote(self, report: ShareReport) -> Awaitable[Lease | None]: ...


class _RecordUsage(Protocol):
    def remote(self, lines: bytes) -> Awaitable[bool]: ...


class Controller(Protocol):
    """A handle to the Controller."""

    exchange: _Exchange
    lend: _Lend
    record_usage: _RecordUsage


class Gateway:
    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, controller: Controller, host: str, port: int, tls: TlsFiles | None = None
    ) -> None:
        join_serve_log()
        # First, so that an unusable pair fails the start at once.
        certificate = None if tls is None else Certificate(tls)
        heap.keep_little()
        self._controller: Controller = over_grpc(controller)
        #: Set with the first snapshot.
        self._informed = asyncio.Event()
        self._is_listening = False
        self._id = f"gateway.{secrets.token_hex(4)}"
        self._node = ray.util.get_node_ip_address()
        self._host, self._port = host, port
        spool = Spool(home() / "spool", self._id)
        self._core = GatewayCore(spool)
        self._leasing = Leasing(self._id, self._core.gate, self._lend)
        self._server = Server(self._core, certificate)
        self._shipper = Shipper(spool, self._ship)
        self._access_log = AccessLog(home() / "logs", self._id, time.time)
        self._metrics = MetricsPort(
            lambda: readings(self._core, self._server),
            lambda: self._core.metrics_token,
            (Route(PATH, self._in_flight, lambda: self._core.requests_token),),
        )
        await self._metrics.open(self._node)
        loop = asyncio.get_running_loop()
        self._poller = loop.create_task(self._poll())
        self._lessee = loop.create_task(self._leasing.run())
        self._shipping = loop.create_task(self._shipper.run())
        self._logging = loop.create_task(self._access_log.run())
        try:
            async with asyncio.timeout(FIRST_NEWS_DEADLINE_S):
                await self._informed.wait()
        except TimeoutError:
            raise RuntimeError(
                f"the Controller gave no keys and replicas within {FIRST_NEWS_DEADLINE_S:.0f} s"
            ) from None

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Models, aliases, limits: taken over for the next request, nothing restarts."""
        self._core.apply_user_config(user_config)
        self._set_access_log(self._core.catalogue.access_log)
        await self._set_tracing(self._core.catalogue.traces)
        if not self._is_listening:
            await self._server.start(_listen(self._host, self._port))
            self._is_listening = True
            collector.calm()

    def _in_flight(self) -> bytes:
        return in_flight_json(self._server.jobs(), self._core.loop.time())

    def _set_access_log(self, form: LogForm) -> None:
        self._core.access_log = None if form == "off" else self._access_log
        self._access_log.form = form

    async def _set_tracing(self, endpoint: str | None) -> None:
        """Requests under way keep the tracing that they began with, to its end."""
        before = self._core.tracing
        if endpoint == (before and before.endpoint):
            return
        self._core.tracing = Tracing(endpoint, self._id) if endpoint else None
        if before is not None:
            await asyncio.to_thread(before.close)

    async def check_health(self) -> None:
        if not self._server.is_serving:
            raise RuntimeError("the gateway no longer listens")
        if self._poller.done():
            raise RuntimeError("the gateway no longer asks the Controller for news")
        if self._lessee.done():
            raise RuntimeError("the gateway no longer asks the Controller for shares of limits")
        if self._shipping.done():
            raise RuntimeError("the gateway no longer brings its usage to the ledger")
        if self._logging.done():
            raise RuntimeError("the gateway no longer writes its access log")

    async def _poll(self) -> None:
        while True:
            pause_s = PAUSE_S
            try:
                await self._exchange()
            except Interrupted:
                pass
            except Exception as error:  # noqa: BLE001 - Ray's errors have no common root
                _log.warning("no news from the Controller: %s", type(error).__name__)
                pause_s = RETRY_S
            await asyncio.sleep(pause_s)

    async def _exchange(self) -> None:
        inquest = self._core.inquest
        report = GatewayReport(
            gateway_id=self._id,
            node=self._node,
            pid=os.getpid(),
            address=f"{self._host}:{self._port}",
            in_flight=self._core.in_flight(),
            demands=self._core.meters.report(),
            deaths=inquest.deaths(),
            left_out=self._core.left_out(),
            counts=self._core.counters.counts(),
            metrics_address=self._metrics.address,
        )
        answer = self._controller.exchange.remote(report, self._core.version)
        async with asyncio.timeout(POLL_DEADLINE_S):
            snapshot = await unless(inquest.has_news, answer)
        self._core.heard()
        if snapshot is not None:
            self._core.apply_snapshot(snapshot)
            if self._core.has_keys:
                self._informed.set()

    async def _lend(self, report: ShareReport) -> Lease | None:
        return await self._controller.lend.remote(report)

    async def _ship(self, lines: bytes) -> bool:
        """Usage to the ledger; true when it is there."""
        try:
            async with asyncio.timeout(SHIP_DEADLINE_S):
                return await self._controller.record_usage.remote(lines)
        except Exception as error:  # noqa: BLE001 - Ray's errors have no common root
            _log.warning("usage not taken by the Controller: %s", type(error).__name__)
            return False

    def __del__(self) -> Awaitable[None] | None:
        """Serve awaits this once before it ends the process; Python's own call finds nothing to
        do.
        """
        server: Server | None = self.__dict__.pop("_server", None)
        return None if server is None else self._leave(server)

    async def _leave(self, server: Server) -> None:
        await server.drain(self._core.grace_s)
        self._poller.cancel()
        self._lessee.cancel()
        if self._core.gate.limits:
            await self._leasing.leave()
        self._shipping.cancel()
        await self._shipper.farewell()
        self._logging.cancel()
        await self._access_log.close()
        await self._set_tracing(None)
        await self._metrics.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise RuntimeError(f"port {port} on {host} is taken by another program") from None
