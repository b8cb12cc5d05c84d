"""The listening side: accepts, looks at deadlines a few times a second, drains.

Life: `start`, then `drain`: no new work, what runs may finish within a grace, then it is told and
closed.
"""

import asyncio
import socket

from serving.bounds import WRITE_BUFFER_BYTES
from serving.gateway.connection import ClientConnection
from serving.gateway.core import GatewayCore
from serving.gateway.handover import steer, unsteer

#: Connections the kernel keeps for us while the loop is busy; 10,000 clients may come at once.
BACKLOG = 4_096
#: Handshakes that began before the steering end within a round trip or two.
HANDOVER_S = 0.3
#: How often and how long a probe is looked for; an idle loop accepts at once.
PROBE_LOOKS = 10
PROBE_LOOK_S = 0.02
_USER_TIMEOUT_MS = 30_000
_KEEPALIVE_IDLE_S = 30


class Server:
    def __init__(self, core: GatewayCore) -> None:
        self._core = core
        self._connections: set[ClientConnection] = set()
        self._listening: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._drained: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None

    @property
    def is_serving(self) -> bool:
        return self._listening is not None and self._drained is None

    async def start(self, sock: socket.socket) -> None:
        loop = self._core.loop
        self._socket = sock
        self._listening = await loop.create_server(self._accepted, sock=sock, backlog=BACKLOG)
        self._sweeper = loop.create_task(self._sweep())

    def _accepted(self) -> ClientConnection:
        return ClientConnection(self._core, self._connections, self._core.loop)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._core.deadlines.tick_s)
            now_s = self._core.loop.time()
            for connection in tuple(self._connections):
                connection.sweep(now_s)
            self._core.sweep()

    async def drain(self, grace_s: float) -> None:
        """Idempotent: whoever asks second waits for the same end."""
        if self._drained is None:
            self._drained = self._core.loop.create_task(self._drain(grace_s))
        await asyncio.shield(self._drained)

    async def _drain(self, grace_s: float) -> None:
        self._core.is_draining = True
        for connection in tuple(self._connections):
            connection.drain()
        if self._listening is not None and self._socket is not None:
            await self._hand_over(self._socket)
            self._listening.close()
        await self._wait_empty(grace_s)
        for connection in tuple(self._connections):
            connection.shut_down()
        await self._wait_empty(self._core.deadlines.linger_s)
        for connection in tuple(self._connections):
            connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self._core.close()

    async def _hand_over(self, sock: socket.socket) -> None:
        """Leaves new connections to the other gateway of the port, if there is one."""
        for index in (0, 1):
            if not steer(sock, index):
                return
            if not await self._accepts_itself(sock):
                await asyncio.sleep(HANDOVER_S)
                return
        unsteer(sock)

    async def _accepts_itself(self, sock: socket.socket) -> bool:
        """Connects to the port and looks whether the connection comes in here."""
        host, port = sock.getsockname()[:2]
        probe = socket.socket(sock.family, socket.SOCK_STREAM)
        with probe:
            probe.setblocking(False)
            await self._core.loop.sock_connect(probe, (_reachable(host), port))
            name = probe.getsockname()
            for _ in range(PROBE_LOOKS):
                if any(connection.peer == name for connection in self._connections):
                    return True
                await asyncio.sleep(PROBE_LOOK_S)
        return False

    async def _wait_empty(self, seconds: float) -> None:
        loop = self._core.loop
        end_s = loop.time() + seconds
        while self._connections and loop.time() < end_s:  # noqa: ASYNC110 - many sets, one wait
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
    unsteer(sock)
    return sock


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def _set_options(sock: socket.socket) -> None:
    """A client behind a dead NAT acknowledges nothing and is dropped by the kernel after the
    timeout.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, WRITE_BUFFER_BYTES)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_IDLE_S // 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
