"""The gateway's own troubles: its clock, its descriptors, its end. Rows 30, 32, 47, 48 and 61."""

import asyncio
import json
import resource
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from serving.bounds import KEY_CACHE
from tests.fakes import FakeReplica, fake_replica, hangs, hangs_after, streams
from tests.faults.recovering import Note, recovering
from tests.faults.site import Faulty, kind_of, replicas, until
from tests.serving.gateway.rig import CHAT, HELLO, KEY, QUICK, Client, encode
from tests.serving.gateway.test_standalone import free_port

STREAM = {**HELLO, "stream": True}
HOUR_S = 3600.0
DESCRIPTORS, CLIENTS = 128, 300


async def test_30_a_clock_that_jumps_moves_no_deadline(faulty: Faulty) -> None:
    [one] = replicas(1)
    pause, now_s = asyncio.Event(), 1e9
    one.script = [streams("a", "b", pause=pause, before=1)]
    async with faulty(one) as site:
        site.core.wall_clock = lambda: now_s
        client = await site.connect()
        await client.request("POST", CHAT, STREAM)
        await client.reader.readuntil(b'"content":"a"')
        for jump_s in (HOUR_S, -2 * HOUR_S):
            now_s += jump_s
            await asyncio.sleep(2 * QUICK.tick_s)  # the sweep has looked
            assert (await site.chat()).status == 200
        pause.set()
        assert b"[DONE]" in await client.reader.readuntil(b"0\r\n\r\n")
        site.saw("200 complete")
        records = await site.invariants_hold()
    assert [record["started_s"] for record in records] == [1e9 + HOUR_S, 1e9 - HOUR_S, 1e9]
    assert all(0 <= record["duration_s"] < HOUR_S for record in records)


async def test_32_out_of_descriptors_streams_go_on_and_the_next_are_served(
    tmp_path: Path, record_property: Note
) -> None:
    """A process of its own: what it has left must not be what pytest has left."""
    go = asyncio.Event()
    one = FakeReplica(script=[streams("a", "b", pause=go, before=1)])
    async with fake_replica(one), process(tmp_path, one) as port:
        busy = await connect(port)
        await busy.request("POST", CHAT, STREAM)
        await busy.reader.readuntil(b'"content":"a"')
        crowd = [await connect(port) for _ in range(CLIENTS)]
        go.set()
        assert b"[DONE]" in await busy.reader.readuntil(b"0\r\n\r\n")
        with recovering(record_property):
            for client in crowd:
                client.reset()
            assert await answered(port)
        await busy.close()


async def answered(port: int) -> bool:
    """Tries again, as SDKs do when a connection is closed before a byte of an answer."""
    async with asyncio.timeout(10):
        while True:
            client = await connect(port)
            try:
                await client.request("POST", CHAT, HELLO)
                return kind_of(await client.reply()) == "200 complete"
            except (ConnectionError, EOFError):
                await asyncio.sleep(0.01)
            finally:
                client.reset()


@asynccontextmanager
async def process(folder: Path, replica: FakeReplica) -> AsyncIterator[int]:
    """The port of a gateway that may open few descriptors."""
    port, token, key = free_port(), folder / "token", folder / "key"
    key.write_text(KEY)
    token.write_text(replica.token)
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "serving.gateway.standalone", "--port", str(port)),
        *("--upstream", f"http://{replica.address}", "--replica-id", replica.replica_id),
        *("--model", "tiny", "--key-file", str(key), "--token-file", str(token)),
        *("--spool", str(folder / "spool"), "--grace", "0.1"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        preexec_fn=_few_descriptors,
    )
    assert running.stdout is not None
    assert await running.stdout.readline() == b"ready\n"
    try:
        yield port
    finally:
        running.terminate()
        assert await running.wait() == 0


def _few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


async def connect(port: int) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", port))


async def test_47_a_draining_gateway_is_not_ready_and_lets_streams_finish(faulty: Faulty) -> None:
    go = asyncio.Event()
    [one] = replicas(1)
    one.script = [streams("a", "b", pause=go, before=1)]
    async with faulty(one) as site:
        busy, idle, late = [await site.connect() for _ in range(3)]
        await idle.request("GET", "/healthz")
        assert (await idle.reply()).status == 200
        await late.send(b"GET /readyz HTTP/1.1\r\n")
        await busy.request("POST", CHAT, STREAM)
        await busy.reader.readuntil(b'"content":"a"')
        draining = asyncio.create_task(site.rig.drain(5.0))
        assert await idle.is_closed()
        await late.send(b"Host: x\r\n\r\n")
        reply = await late.reply()
        assert (reply.status, reply.headers["connection"]) == (503, "close")
        go.set()
        assert b"[DONE]" in await busy.reader.read()
        await draining
        site.saw("200 complete")
        [record] = await site.ended()
    assert record["outcome"] == "complete"


async def test_47_after_the_grace_a_stream_is_told_and_closed(faulty: Faulty) -> None:
    [one] = replicas(1)
    one.script = [hangs_after("a")]
    async with faulty(one) as site:
        client = await site.connect()
        await client.request("POST", CHAT, STREAM)
        await client.reader.readuntil(b'"content":"a"')
        await site.rig.drain(0.05)
        rest = await client.reader.read()
        assert b'"code":"shutting_down"' in rest
        assert b"[DONE]" not in rest
        site.saw("200 cut, shutting_down")
        [record] = await site.ended()
    assert record["outcome"] == "cut"


async def test_47_a_request_on_the_way_while_draining_is_answered_and_closed(
    faulty: Faulty,
) -> None:
    [one] = replicas(1)
    one.script = [hangs_after("a")]
    async with faulty(one) as site:
        client, other = await site.connect(), await site.connect()
        await client.request("POST", CHAT, STREAM)
        await client.reader.readuntil(b'"content":"a"')
        whole = encode("POST", CHAT, HELLO)
        await other.send(whole[:20])
        await site.ask("GET", "/healthz")
        draining = asyncio.create_task(site.rig.drain(0.5))
        await until(lambda: site.core.is_draining)
        await other.send(whole[20:])
        reply = await other.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        site.saw(kind_of(reply))
        await draining
        assert len(await site.ended()) == 2


async def test_48_our_deadline_is_504_and_the_engine_aborts(faulty: Faulty) -> None:
    [one] = replicas(1)
    one.script = [hangs, hangs]
    async with faulty(one, deadlines=replace(QUICK, request_s=0.1)) as site:
        for stream in (False, True):
            reply = await site.chat(stream=stream)
            assert (reply.status, reply.error["code"]) == (504, "deadline_exceeded")
            assert reply.headers["x-should-retry"] == "false"
        await one.until(lambda: one.aborted == 2)


async def test_48_a_deadline_in_a_stream_is_an_error_event(faulty: Faulty) -> None:
    [one] = replicas(1)
    one.script = [hangs_after("a")]
    async with faulty(one, deadlines=replace(QUICK, request_s=0.1)) as site:
        reply = await site.chat(stream=True)
        assert json.loads(reply.events[-1])["error"]["code"] == "deadline_exceeded"


async def test_48_a_shorter_deadline_of_the_caller_is_kept_and_no_replica_is_blamed(
    faulty: Faulty,
) -> None:
    [one] = replicas(1)
    one.script = [hangs, hangs, hangs, hangs_after("a")]
    total, first_byte = {"x_flotilla_timeout": "0.1"}, {"x_stainless_read_timeout": "0.1"}
    async with faulty(one) as site:
        for body, said in ((HELLO, total), (HELLO, first_byte), (STREAM, first_byte)):
            reply = await site.ask("POST", CHAT, body, **said)
            assert (reply.status, reply.error["code"]) == (504, "deadline_exceeded")
            assert reply.headers["x-should-retry"] == "false"
        cut = await site.ask("POST", CHAT, STREAM, **total)
        assert json.loads(cut.events[-1])["error"]["code"] == "deadline_exceeded"
        await one.until(lambda: one.aborted == 4)
        assert site.core.left_out() == ()


async def test_61_random_names_models_and_keys_leave_nothing_behind(faulty: Faulty) -> None:
    [one] = replicas(1)
    async with faulty(one) as site:
        client = await site.connect()
        for _ in range(300):
            name = secrets.token_hex(8)
            for model, key in ((name, KEY), ("tiny", f"sk-{name}-{name}")):
                body = {**HELLO, "model": model}
                await client.request("POST", CHAT, body, authorization=f"Bearer {key}")
                reply = await client.reply()
                site.saw(kind_of(reply))
                if reply.headers.get("connection") == "close":
                    client = await site.connect()
        assert site.core.meters.report() == ()
        assert len(site.core.auth._proven) <= min(2, KEY_CACHE)
