"""A real HAProxy in front of real gateways: what a client at the public address sees."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from serving.gateway.certificate import Certificate
from tests.fakes import FakeReplica, hangs, hangs_after, streams
from tests.serving.gateway.certificates import make_pair
from tests.serving.gateway.front_door import NODES, FrontDoor, front_door, missing
from tests.serving.gateway.rig import CHAT, HELLO, KEY, QUICK, Client, Rig, encode, gateway
from tests.serving.gateway.storm import ASK, ASK_AND_STAY, Storm
from tests.serving.gateway.test_standalone import free_port

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

STREAM = {**HELLO, "stream": True}
#: Longer than two looks of the front door.
NOTICED = replace(QUICK, notice_s=2.5)


@dataclass
class Site:
    door: FrontDoor
    gateways: list[Rig]


@asynccontextmanager
async def site(tmp_path: Path, replica: FakeReplica) -> AsyncIterator[Site]:
    """Two gateways, each on an address of its own."""
    port = free_port()
    async with AsyncExitStack() as stack:
        rigs = []
        for address in NODES:
            folder = tmp_path / address
            folder.mkdir()
            opened = gateway(folder, replica, deadlines=NOTICED, at=(address, port))
            rigs.append(await stack.enter_async_context(opened))
        door = await stack.enter_async_context(front_door(tmp_path / "door", free_port(), port))
        yield Site(door, rigs)
        for rig in rigs:
            rig.core.deadlines = QUICK


@pytest.fixture
async def both(tmp_path: Path, replica: FakeReplica) -> AsyncIterator[Site]:
    async with site(tmp_path, replica) as made:
        yield made


async def test_a_token_is_out_before_the_next_one_is_made(both: Site, replica: FakeReplica) -> None:
    more = asyncio.Event()
    replica.behaviour = streams("a", "b", pause=more, before=1)
    client = await both.door.connect()
    await client.request("POST", CHAT, STREAM)
    status, shown = await client.head()
    assert (status, shown["content-type"]) == (200, "text/event-stream; charset=utf-8")
    await client.reader.readuntil(b'"content":"a"')
    more.set()
    await client.reader.readuntil(b"[DONE]")
    client.reset()


async def test_a_connection_is_kept_for_the_next_request_and_both_gateways_work(
    both: Site,
) -> None:
    client = await both.door.connect()
    for _ in range(8):
        await client.request("POST", CHAT, HELLO)
        reply = await client.reply()
        assert reply.status == 200
        assert "strict-transport-security" in reply.headers
    client.reset()
    for rig in both.gateways:
        assert len(await rig.records()) > 0


def finish(client: Client) -> None:
    client.writer.close()


def reset(client: Client) -> None:
    client.reset()


@pytest.mark.parametrize("leave", [finish, reset])
@pytest.mark.parametrize("behaviour", [hangs, hangs_after("a")], ids=["prefill", "mid-stream"])
async def test_a_client_that_leaves_frees_the_engine_within_a_second(
    both: Site, replica: FakeReplica, leave: Callable[[Client], None], behaviour: Any
) -> None:
    replica.behaviour = behaviour
    client = await both.door.connect()
    await client.request("POST", CHAT, STREAM)
    await replica.until(lambda: replica.running == 1)
    if behaviour is not hangs:
        await client.reader.readuntil(b'"content":"a"')
    leave(client)
    await replica.until(lambda: replica.aborted == 1, limit_s=1.0)


@pytest.mark.parametrize("ask", [ASK, ASK_AND_STAY], ids=["new-connections", "kept-ones"])
async def test_a_gateway_that_leaves_fails_no_request_and_ends_its_streams(
    both: Site, replica: FakeReplica, ask: bytes
) -> None:
    more = asyncio.Event()
    replica.script = [streams("a", "b", pause=more, before=1)] * 2
    running = [await both.door.connect() for _ in range(2)]
    for client in running:
        await client.request("POST", CHAT, STREAM)
        await client.reader.readuntil(b'"content":"a"')
    storm = Storm(both.door.port, both.door.tls, ask, clients=20)
    await storm.until(100)
    leaving = asyncio.create_task(both.gateways[0].server.drain(20))
    while both.gateways[0].server._listening.is_serving():  # type: ignore[union-attr]  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    more.set()
    for client in running:
        await client.reader.readuntil(b"[DONE]")
        client.reset()
    await leaving
    await storm.until(storm.answers + 100)
    await storm.stop()
    assert storm.failures == []


async def test_a_reload_keeps_the_stream_that_runs_and_fails_no_request(
    both: Site, replica: FakeReplica
) -> None:
    more = asyncio.Event()
    replica.script = [streams("a", "b", pause=more, before=1)]
    client = await both.door.connect()
    await client.request("POST", CHAT, STREAM)
    await client.reader.readuntil(b'"content":"a"')
    storm = Storm(both.door.port, both.door.tls, clients=10)
    await storm.until(50)
    for _ in range(2):
        both.door.reload()
        await storm.until(storm.answers + 200)
    await storm.stop()
    assert storm.failures == []
    more.set()
    await client.reader.readuntil(b"[DONE]")
    client.reset()


async def test_where_no_gateway_is_the_answer_is_an_error_of_ours(tmp_path: Path) -> None:
    async with front_door(tmp_path / "door", free_port(), free_port()) as door:
        client = await door.connect()
        await client.request("POST", CHAT, HELLO)
        reply = await client.reply()
        assert (reply.status, reply.error["code"]) == (503, "server_is_overloaded")
        assert reply.headers["retry-after"] == "5"
        assert reply.headers["content-type"] == "application/json"
        client.reset()


@asynccontextmanager
async def standalone(
    tmp_path: Path, replica: FakeReplica, address: str, port: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A gateway that can be killed, and is at the end."""
    files = {"key": KEY, "token": replica.token}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "serving.gateway.standalone", "--host", address),
        *("--port", str(port), "--upstream", f"http://{replica.address}", "--model", "tiny"),
        *("--replica-id", replica.replica_id, "--key-file", str(tmp_path / "key")),
        *("--token-file", str(tmp_path / "token"), "--spool", str(tmp_path / "killed")),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_a_gateway_that_is_killed_is_left_out_and_its_request_is_not_sent_again(
    tmp_path: Path, replica: FakeReplica
) -> None:
    port = free_port()
    replica.script = [hangs]
    async with (
        standalone(tmp_path, replica, NODES[0], port) as process,
        front_door(tmp_path / "door", free_port(), port) as door,
    ):
        client = await door.connect()
        await client.request("POST", CHAT, HELLO)
        await replica.until(lambda: replica.running == 1)
        async with gateway(tmp_path, replica, at=(NODES[1], port)):
            process.kill()
            reply = await client.reply()
            assert (reply.status, reply.error["code"]) == (502, "upstream_error")
            assert len(replica.calls) == 1
            for _ in range(20):
                await client.request("POST", CHAT, HELLO)
                assert (await client.reply()).status == 200
            client.reset()


async def test_a_caller_cannot_say_who_it_is(tmp_path: Path) -> None:
    heads = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    port = free_port()
    async with (
        await asyncio.start_server(serve, NODES[0], port),
        front_door(tmp_path / "door", free_port(), port) as door,
    ):
        client = await door.connect()
        liar = {"x-forwarded-for": "10.0.0.1", "forwarded": "for=10.0.0.1"}
        await client.send(encode("GET", "/mine", headers=liar))
        assert (await client.reply()).status == 200
        client.reset()
    (seen,) = [head for head in heads if b"/mine" in head]
    assert b"10.0.0.1" not in seen
    assert b"x-forwarded-for: 127.0.0.1\r\n" in seen


@pytest.mark.parametrize("is_known", [True, False], ids=["its-own", "a-stranger"])
async def test_gateways_with_tls_are_asked_over_tls_and_strangers_are_not(
    tmp_path: Path, replica: FakeReplica, is_known: bool
) -> None:
    files, other = make_pair(tmp_path / "own"), make_pair(tmp_path / "stranger")
    port = free_port()
    certificate = Certificate(files if is_known else other)
    async with (
        gateway(tmp_path, replica, certificate=certificate, at=(NODES[0], port)),
        front_door(tmp_path / "door", free_port(), port, files) as door,
    ):
        client = await door.connect()
        await client.request("POST", CHAT, HELLO)
        reply = await client.reply()
        client.reset()
    assert reply.status == (200 if is_known else 503)
    assert len(replica.calls) == is_known
    assert json.loads(reply.body)
