"""Clients that leave, read slowly or come at the wrong time: faults.md 38 to 47."""

import asyncio
import json
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes import Call, FakeReplica, hangs, hangs_after, streams
from tests.serving.gateway.rig import CHAT, HELLO, QUICK, Client, Rig, encode, gateway

STREAM = {**HELLO, "stream": True}


def finish(client: Client) -> None:
    client.writer.close()


def reset(client: Client) -> None:
    client.reset()


def half_close(client: Client) -> None:
    client.writer.write_eof()


Leave = Callable[[Client], None]
LEAVING = pytest.mark.parametrize("leave", [finish, reset, half_close])


@LEAVING
@pytest.mark.parametrize("body", [HELLO, STREAM], ids=["whole", "stream"])
async def test_40_a_client_that_leaves_in_prefill_is_noticed_by_the_engine(
    rig: Rig, replica: FakeReplica, leave: Leave, body: dict[str, object]
) -> None:
    replica.behaviour = hangs
    client = await rig.connect()
    await client.request("POST", CHAT, body)
    await replica.until(lambda: replica.running == 1)
    leave(client)
    await replica.until(lambda: replica.aborted == 1, limit_s=1.0)
    assert [r["outcome"] for r in await rig.records()] == ["client_gone"]


@LEAVING
async def test_41_a_client_that_leaves_mid_stream_is_noticed_and_metered(
    rig: Rig, replica: FakeReplica, leave: Leave
) -> None:
    replica.behaviour = hangs_after("a", "b", "c")
    client = await rig.connect()
    await client.request("POST", CHAT, STREAM)
    await client.reader.readuntil(b'"content":"c"')
    leave(client)
    await replica.until(lambda: replica.aborted == 1, limit_s=1.0)
    records = await rig.records()
    assert [(r["outcome"], r["completion_tokens"]) for r in records] == [("client_gone", 2)]


async def test_39_a_client_that_leaves_while_it_is_counted_reaches_no_engine(
    rig: Rig, replica: FakeReplica
) -> None:
    replica.count = None
    client = await rig.connect()
    long = {**HELLO, "messages": [{"role": "user", "content": "x" * 5_000}]}
    await client.request("POST", CHAT, long)
    await replica.until(lambda: replica.counts == 1)
    finish(client)
    await replica.until(lambda: replica.aborted == 1, limit_s=1.0)
    assert replica.calls == []


async def test_38_a_slow_reader_pauses_the_engine_and_is_cut(
    tmp_path: Path, replica: FakeReplica
) -> None:
    sent = 0

    async def pours(call: Call) -> None:
        nonlocal sent
        await call.start_stream()
        for _ in range(4_000):
            await call.event(call.chunk("x" * 16_384))
            sent += 16_384

    replica.behaviour = pours
    async with gateway(tmp_path, replica, deadlines=replace(QUICK, write_s=0.3)) as rig:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", rig.port))
        client = Client(*await asyncio.open_connection(sock=sock, limit=1_024))
        rig.clients.append(client)
        await client.request("POST", CHAT, STREAM)
        await replica.until(lambda: replica.aborted == 1)
        assert sent < 20 * 2**20
        records = await rig.records()
    assert [r["outcome"] for r in records] == ["client_gone"]


async def test_a_reader_that_pauses_loses_nothing(rig: Rig, replica: FakeReplica) -> None:
    tokens = [f"{n:06d}" * 400 for n in range(2_000)]
    replica.behaviour = streams(*tokens)
    client = await rig.connect()
    await client.request("POST", CHAT, STREAM)
    await replica.until(lambda: replica.running == 1)
    reply = await client.reply(30)
    texts = [json.loads(e)["choices"][0]["delta"]["content"] for e in reply.events[:-1]]
    assert texts == tokens
    assert reply.events[-1] == "[DONE]"


async def test_the_next_request_after_a_paused_stream_is_answered(
    rig: Rig, replica: FakeReplica
) -> None:
    replica.script = [streams(*["x" * 10_000] * 400)]
    client = await rig.connect()
    await client.request("POST", CHAT, STREAM)
    assert (await client.reply()).events[-1] == "[DONE]"
    for _ in range(3):
        await client.request("POST", CHAT, HELLO)
        assert (await client.reply()).status == 200


async def draining_has_begun(rig: Rig) -> None:
    async with asyncio.timeout(5):
        while not rig.core.is_draining:  # noqa: ASYNC110 - a turn of the loop each
            await asyncio.sleep(0)


async def test_47_a_draining_gateway_is_not_ready_and_lets_streams_finish(
    rig: Rig, replica: FakeReplica
) -> None:
    go = asyncio.Event()
    replica.behaviour = streams("a", "b", pause=go, before=1)
    busy, idle, late = [await rig.connect() for _ in range(3)]
    await idle.request("GET", "/healthz")
    assert (await idle.reply()).status == 200
    await late.send(b"GET /readyz HTTP/1.1\r\n")
    await busy.request("POST", CHAT, STREAM)
    await busy.reader.readuntil(b'"content":"a"')
    draining = asyncio.create_task(rig.drain(5.0))
    assert await idle.is_closed()
    await late.send(b"Host: x\r\n\r\n")
    reply = await late.reply()
    assert (reply.status, reply.headers["connection"]) == (503, "close")
    go.set()
    rest = await busy.reader.read()
    assert b"[DONE]" in rest
    await draining


async def test_47_after_the_grace_a_stream_is_told_and_closed(
    rig: Rig, replica: FakeReplica
) -> None:
    replica.behaviour = hangs_after("a")
    client = await rig.connect()
    await client.request("POST", CHAT, STREAM)
    await client.reader.readuntil(b'"content":"a"')
    await rig.drain(0.05)
    rest = await client.reader.read()
    assert b'"code":"shutting_down"' in rest
    assert b"[DONE]" not in rest
    await replica.until(lambda: replica.aborted == 1)
    assert [r["outcome"] for r in await rig.records()] == ["cut"]


async def test_47_a_request_on_the_way_while_draining_is_answered_and_closed(
    rig: Rig, replica: FakeReplica
) -> None:
    replica.script = [hangs_after("a")]
    client = await rig.connect()
    await client.request("POST", CHAT, STREAM)
    await client.reader.readuntil(b'"content":"a"')
    other = await rig.connect()
    whole = encode("POST", CHAT, HELLO)
    await other.send(whole[:20])
    await rig.ask("GET", "/healthz")
    draining = asyncio.create_task(rig.drain(0.5))
    await draining_has_begun(rig)
    await other.send(whole[20:])
    reply = await other.reply()
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    await draining


async def test_no_descriptor_is_left_over(rig: Rig, replica: FakeReplica) -> None:
    await rig.chat()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        client = await rig.connect()
        await client.request("POST", CHAT, STREAM)
        await client.reply()
        await client.close()
        await client.writer.wait_closed()
    client = await rig.connect()
    await client.request("GET", "/healthz")
    await client.reply()
    assert len(os.listdir("/proc/self/fd")) <= before + 4
