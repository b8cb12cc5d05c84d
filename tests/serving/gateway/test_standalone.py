"""The gateway as a process of its own: ready when it says so, gone cleanly on SIGTERM."""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

from serving.gateway.shipper import Shipper
from serving.spool import Spool
from tests.fakes import FakeReplica, hangs_after
from tests.serving.gateway.rig import CHAT, HELLO, KEY, Client


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def started(folder: Path, port: int, replica: FakeReplica) -> asyncio.subprocess.Process:
    """The process, which listens."""
    token = folder / "token"
    (folder / "key").write_text(KEY)
    token.write_text(replica.token)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "serving.gateway.standalone", "--port", str(port)),
        *("--upstream", f"http://{replica.address}", "--replica-id", replica.replica_id),
        *("--model", "tiny", "--key-file", str(folder / "key"), "--token-file", str(token)),
        *("--spool", str(folder / "spool"), "--grace", "0.1"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def in_a_stream(port: int, replica: FakeReplica) -> Client:
    """A client with a whole answer, and with the beginning of another."""
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    await client.request("POST", CHAT, HELLO)
    assert (await client.reply()).status == 200
    replica.behaviour = hangs_after("a")
    await client.request("POST", CHAT, {**HELLO, "stream": True})
    await client.reader.readuntil(b'"content":"a"')
    return client


def outcomes(lines: bytes) -> list[str]:
    return [json.loads(line)["outcome"] for line in lines.splitlines()]


async def test_47_a_process_drains_on_sigterm_and_exits_with_zero(
    replica: FakeReplica, tmp_path: Path
) -> None:
    port = free_port()
    process = await started(tmp_path, port, replica)
    client = await in_a_stream(port, replica)
    os.kill(process.pid, signal.SIGTERM)
    assert b'"code":"shutting_down"' in await client.reader.read()
    await client.close()
    assert await process.wait() == 0
    assert outcomes((tmp_path / "spool" / "standalone.0.jsonl").read_bytes()) == ["complete", "cut"]


async def test_68_what_a_replica_had_when_its_gateway_was_killed_is_recorded_by_the_next(
    replica: FakeReplica, tmp_path: Path
) -> None:
    port = free_port()
    process = await started(tmp_path, port, replica)
    client = await in_a_stream(port, replica)
    os.kill(process.pid, signal.SIGKILL)
    await client.close()
    assert await process.wait() == -signal.SIGKILL
    spool, lines = Spool(tmp_path / "spool", "gw"), list[bytes]()

    async def taken(batch: bytes) -> bool:
        lines.append(batch)
        return True

    assert await Shipper(spool, taken).ship_orphans()
    await spool.close()
    assert outcomes(b"".join(lines)) == ["complete", "cut"]
    cut = json.loads(lines[-1])
    assert (cut["request_id"], cut["replica_id"]) == (replica.calls[-1].id, replica.replica_id)
    assert os.listdir(tmp_path / "spool") == []


async def test_one_replica_id_cannot_stand_for_several_replicas(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "serving.gateway.standalone", "--port", "1", "--model", "tiny"),
        *("--upstream", "http://127.0.0.1:2", "--upstream", "http://127.0.0.1:3"),
        *("--replica-id", "tiny.0", "--key-file", "key", "--spool", str(tmp_path)),
        stderr=asyncio.subprocess.PIPE,
    )

    _, said = await process.communicate()

    assert process.returncode == 2
    assert b"--replica-id names one replica: give one --upstream with it" in said
