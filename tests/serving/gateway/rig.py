"""A real gateway on a real port in front of fake replicas, and a client that sees every byte."""

import asyncio
import json
import random
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving.bounds import Deadlines
from serving.gateway.certificate import Certificate
from serving.gateway.core import GatewayCore
from serving.gateway.exchange import Exchange
from serving.gateway.parser import Head, Message
from serving.gateway.server import Server, listen
from serving.keys import new_key
from serving.snapshot import KeyRecord, ReplicaReport, Snapshot
from serving.spool import Spool
from tests.fakes import TOKEN, FakeReplica
from tests.serving.gateway.watched import WatchedCore

_DICE = random.Random(7)  # noqa: S311
KEY, KEY_RECORD = new_key("test", _DICE.randbytes, 0)
OTHER_KEY, OTHER_RECORD = new_key("other", _DICE.randbytes, 0)
CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
HELLO = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}


def model(name: str = "tiny", **changes: Any) -> dict[str, Any]:
    given = {"name": name, "replica_set": name, "window_tokens": 4_096, "created": 1_724_347_380}
    return {**given, **changes}


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.json["error"]
        assert list(self.json) == ["error"]
        assert sorted(error) == ["code", "message", "param", "type"]
        return error

    @property
    def events(self) -> list[str]:
        return [e.removeprefix("data: ") for e in self.body.decode().split("\n\n") if e]


class Client:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def request(self, method: str, path: str, body: Any = None, **headers: str) -> None:
        await self.send(encode(method, path, body, headers))

    async def reply(self, limit_s: float = 10.0) -> Reply:
        async with asyncio.timeout(limit_s):
            return await self._reply()

    async def _reply(self) -> Reply:
        status, headers = await self.head()
        if headers.get("transfer-encoding") == "chunked":
            body = b"".join([chunk async for chunk in self.chunks()])
        elif "content-length" in headers:
            body = await self.reader.readexactly(int(headers["content-length"]))
        else:
            body = await self.reader.read()
        return Reply(status, headers, body)

    async def head(self) -> tuple[int, dict[str, str]]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split(" ")[1]), {name.lower(): value for name, value in pairs}

    async def chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self.reader.readline(), 16):
            yield await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)

    async def is_closed(self, limit_s: float = 5.0) -> bool:
        async with asyncio.timeout(limit_s):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True

    async def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        self.writer.transport.abort()


def encode(
    method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> bytes:
    given = {"host": "gateway", "authorization": f"Bearer {KEY}"}
    raw = b""
    if body is not None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        given |= {"content-type": "application/json", "content-length": str(len(raw))}
    given |= {name.replace("_", "-"): value for name, value in (headers or {}).items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value != "-")
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + raw


class Nowhere:
    """The way to a client that is not there."""

    def __init__(self, request_id: str) -> None:
        self._id = request_id

    def write(self, data: bytes) -> None: ...
    def finished(self, keep_alive: bool) -> None: ...

    def new_id(self) -> str:
        return self._id


def handed(core: GatewayCore, body: Any, request_id: str = "f" * 32) -> Exchange:
    """A chat request as it comes from a connection, in this turn of the loop."""
    head = Head(b"POST", CHAT.encode(), {b"authorization": f"Bearer {KEY}".encode()})
    head.headers[b"content-type"] = b"application/json"
    assert core.check_head(head) is None
    exchange = Exchange(Nowhere(request_id), Message(head, json.dumps(body).encode()))
    core.serve(exchange)
    return exchange


@dataclass
class Rig:
    core: WatchedCore
    server: Server
    port: int
    spool_folder: Path
    replicas: list[FakeReplica]
    keys: tuple[KeyRecord, ...] = (KEY_RECORD,)
    #: What a client trusts; None where the gateway speaks plain HTTP.
    tls: ssl.SSLContext | None = None
    clients: list[Client] = field(default_factory=list)
    #: Records that the test keeps from being made, or counted.
    unrecorded: int = 0
    _version: int = 0

    async def connect(self) -> Client:
        streams = await asyncio.open_connection("127.0.0.1", self.port, limit=2**22, ssl=self.tls)
        client = Client(*streams)
        self.clients.append(client)
        return client

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        client = await self.connect()
        await client.request(method, path, body, **headers)
        return await client.reply()

    async def chat(self, **changes: Any) -> Reply:
        return await self.ask("POST", CHAT, {**HELLO, **changes})

    def publish(self, reports: Iterable[ReplicaReport] | None = None) -> None:
        self._version += 1
        listed = [r.report() for r in self.replicas] if reports is None else reports
        self.core.apply_snapshot(Snapshot(self._version, self.keys, tuple(listed), TOKEN))

    async def drain(self, grace_s: float = 0.05) -> None:
        await self.server.drain(grace_s)

    async def records(self) -> list[dict[str, Any]]:
        """Every usage record; ends the gateway."""
        await self.drain()
        lines = [p.read_text().splitlines() for p in sorted(self.spool_folder.iterdir())]
        return [json.loads(line) for part in lines for line in part]


QUICK = Deadlines(tick_s=0.02, linger_s=0.2, notice_s=0.0, blame_s=0.0)


@asynccontextmanager
async def gateway(  # noqa: PLR0913 - what tests turn, by name
    tmp_path: Path,
    *replicas: FakeReplica,
    models: list[dict[str, Any]] | None = None,
    deadlines: Deadlines = QUICK,
    certificate: Certificate | None = None,
    tls: ssl.SSLContext | None = None,
    at: tuple[str, int] = ("127.0.0.1", 0),
    core_type: type[WatchedCore] = WatchedCore,
) -> AsyncIterator[Rig]:
    core = core_type(Spool(tmp_path / "spool", "gw", flush_s=0.01), deadlines)
    core.apply_user_config({"models": [model()] if models is None else models})
    server = Server(core, certificate)
    sock = listen(*at)
    await server.start(sock)
    port = sock.getsockname()[1]
    rig = Rig(core, server, port, tmp_path / "spool", list(replicas), tls=tls)
    rig.publish()
    try:
        yield rig
    finally:
        for client in rig.clients:
            await client.close()
        await rig.drain()
        assert core.is_at_rest, "a reservation leaked"
        recorded = core.recorded + rig.unrecorded
        assert recorded == len(core.accepted), "one record for each accepted request"
