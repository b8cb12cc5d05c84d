"""The listening side: accepts, looks at deadlines a few times a second, drains.

Life: `start`, then `drain`: it says that it is not ready and goes on for a notice, so that a front
door can look elsewhere; then no new connections, what runs may finish within a grace, then it is
told and closed.
"""

import asyncio
import socket
from collections.abc import Iterator

from serving.bounds import WRITE_BUFFER_BYTES
from serving.gateway.certificate import Certificate
from serving.gateway.connection import ClientConnection
from serving.gateway.core import GatewayCore
from serving.gateway.exchange import Job
from serving.gateway.handover import steer, unsteer
from serving.gateway.silence import give_up_after
from serving.gateway.tls import Handshakes, TlsConnection

#: Connections the kernel keeps for us while the loop is busy; 10,000 clients may come at once.
BACKLOG = 4_096
#: Handshakes that began before the steering end within a round trip or two.
HANDOVER_S = 0.3
#: How often and how long a probe is looked for; an idle loop accepts at once.
PROBE_LOOKS = 10
PROBE_LOOK_S = 0.02
#: A client behind a dead NAT acknowledges nothing.
CLIENT_SILENCE_S = 30


class Server:
    def __init__(self, core: GatewayCore, certificate: Certificate | None = None) -> None:
        """With a certificate every connection is TLS, without one none is."""
        self._core = core
        self._connections: set[ClientConnection] = set()
        self.certificate = certificate
        self._handshakes: Handshakes | None = None
        if certificate is not None:
            self._handshakes = Handshakes(certificate, core.deadlines, core.loop)
        self._listening: asyncio.Server | None = None
        #: Ended with the server.
        self._tasks: list[asyncio.Task[None]] = []
        self._drained: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None

    @property
    def is_serving(self) -> bool:
        return self._listening is not None and self._drained is None

    @property
    def connections(self) -> int:
        """Clients that have shaken hands, where there is a handshake."""
        return len(self._connections)

    def jobs(self) -> Iterator[Job]:
        """Of all requests in flight."""
        for connection in self._connections:
            job = connection.job
            if job is not None:
                yield job

    async def start(self, sock: socket.socket) -> None:
        loop = self._core.loop
        self._socket = sock
        self._listening = await loop.create_server(self._accepted, sock=sock, backlog=BACKLOG)
        unsteer(sock)
        self._tasks.append(loop.create_task(self._sweep()))
        if self.certificate is not None:
            self._tasks.append(loop.create_task(self.certificate.watch()))

    def _accepted(self) -> asyncio.Protocol:
        connection = ClientConnection(self._core, self._connections, self._core.loop)
        if self._handshakes is None:
            return connection
        return TlsConnection(connection, self._handshakes)

    def _clients(self) -> Iterator[ClientConnection | TlsConnection]:
        """All that are connected, those included that are still shaking hands."""
        yield from tuple(self._connections)
        yield from self._handshakes or ()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._core.deadlines.tick_s)
            # What came while this process stood still is read first: the standstill is nobody
            # else's.
            await asyncio.sleep(0)
            now_s = self._core.loop.time()
            for client in self._clients():
                client.sweep(now_s)
            self._core.sweep()

    async def drain(self, grace_s: float) -> None:
        """Idempotent: whoever asks second waits for the same end."""
        if self._drained is None:
            self._drained = self._core.loop.create_task(self._drain(grace_s))
        await asyncio.shield(self._drained)

    async def _drain(self, grace_s: float) -> None:
        self._core.is_draining = True
        if self._listening is not None and self._socket is not None:
            await self._hand_over(self._socket)
            self._listening.close()
        for client in self._clients():
            client.drain()
        await self._wait_empty(grace_s)
        for connection in tuple(self._connections):
            connection.shut_down()
        await self._wait_empty(self._core.deadlines.linger_s)
        for client in self._clients():
            client.abort()
        for task in self._tasks:
            task.cancel()
        await self._core.close()

    async def _hand_over(self, sock: socket.socket) -> None:
        """Leaves new connections to the other gateway of the port, if there is one; the other may
        be leaving too, so the notice is given in any case.
        """
        notice_s = self._core.deadlines.notice_s
        if await self._steer_away(sock):
            notice_s = max(HANDOVER_S, notice_s)
        await asyncio.sleep(notice_s)

    async def _steer_away(self, sock: socket.socket) -> bool:
        for index in (0, 1):
            if not steer(sock, index):
                return False
            if not await self._accepts_itself(sock):
                return True
        unsteer(sock)
        return False

    async def _accepts_itself(self, sock: socket.socket) -> bool:
        """Connects to the port and looks whether the connection comes in here."""
        host, port = sock.getsockname()[:2]
        probe = socket.socket(sock.family, socket.SOCK_STREAM)
        with probe:
            probe.setblocking(False)
            await self._core.loop.sock_connect(probe, (_reachable(host), port))
            name = probe.getsockname()
            for _ in range(PROBE_LOOKS):
                if any(client.peer == name for client in self._clients()):
                    return True
                await asyncio.sleep(PROBE_LOOK_S)
        return False

    async def _wait_empty(self, seconds: float) -> None:
        loop = self._core.loop
        end_s = loop.time() + seconds
        while any(self._clients()) and loop.time() < end_s:  # noqa: ASYNC110 - many sets, one wait
            await asyncio.sleep(min(0.02, seconds))


def listen(host: str, port: int) -> socket.socket:
    """A socket that other gateways of this node may share; what it accepts inherits its limits."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        _set_options(sock)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def _set_options(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, WRITE_BUFFER_BYTES)
    give_up_after(sock, CLIENT_SILENCE_S)
