"""What a gateway in front of full engines still gets done: goodput and latency from once to twenty
times what the engines can.

    python -m ops.bench.overload [--seconds S] [--save]

Scripted engines with few places, a real gateway in a process of its own, and clients that come at
fixed times whether or not earlier ones were answered. Prints a table in Markdown.
"""

import argparse
import asyncio
import json
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import aiohttp
import uvloop

from ops.bench import child, machine, saved
from ops.bench.rig import free_ports
from ops.bench.rivals.flotilla import launch
from ops.bench.rivals.rival import LOOPBACK, Site
from ops.bench.stats import percentile
from ops.bench.table import Table
from ops.bench.upstream import Request, Script, parse
from serving.keys import new_key

MODEL = "bench"
ENGINES = 2
#: Requests that an engine runs at once, and how long each takes: 40 requests a second together.
PLACES = 4
SERVICE_S = 0.2
CAPACITY_PER_S = ENGINES * PLACES / SERVICE_S
FACTORS = (1, 2, 5, 10, 20)
CLIENT_DEADLINE_S = 30.0


class Engine(asyncio.Protocol):
    """One connection to an engine that runs `PLACES` requests at once."""

    def __init__(self, script: Script, places: asyncio.Semaphore) -> None:
        self._script = script
        self._places = places
        self._buffer = b""
        self._transport = cast(asyncio.Transport, None)
        self._work: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        for task in self._work:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while request := parse(self._buffer):
            self._buffer = self._buffer[request.size :]
            task = asyncio.get_running_loop().create_task(self._answer(request))
            self._work.add(task)
            task.add_done_callback(self._work.discard)

    async def _answer(self, request: Request) -> None:
        async with self._places:
            await asyncio.sleep(SERVICE_S)
            self._transport.write(self._script.answer(request))


@asynccontextmanager
async def engine() -> AsyncIterator[int]:
    """Its port."""
    script, places = Script(MODEL), asyncio.Semaphore(PLACES)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Engine(script, places), LOOPBACK, 0)
    async with server:
        port: int = server.sockets[0].getsockname()[1]
        yield port


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    after_s: float


@dataclass(frozen=True, slots=True)
class Gate:
    url: str
    key: str


@asynccontextmanager
async def gateway(ports: Sequence[int], folder: Path) -> AsyncIterator[Gate]:
    """A gateway on the last core, in front of these engines."""
    port, *spare = free_ports(4)
    key, _ = new_key("bench", secrets.token_bytes, int(time.time()))
    urls = tuple(f"http://{LOOPBACK}:{port}" for port in ports)
    ports_left = (spare[0], spare[1], spare[2])
    site = Site(Path(sys.executable), port, urls, MODEL, key, folder, ports_left)
    argv = (*launch(site).argv, "--most-running", str(PLACES))
    core = max(os.sched_getaffinity(0))
    log = folder / "gateway.log"
    with child.running(argv, env={}, core=core, log=log) as running:
        await asyncio.to_thread(
            running.wait_until, lambda: "ready" in log.read_text(errors="replace"), 30.0
        )
        yield Gate(f"http://{LOOPBACK}:{port}/v1/chat/completions", key)


async def ask(session: aiohttp.ClientSession, gate: Gate) -> Answer:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
    began_s = time.perf_counter()
    async with session.post(gate.url, json=body) as reply:
        await reply.read()
    return Answer(reply.status, time.perf_counter() - began_s)


async def offer(
    session: aiohttp.ClientSession, gate: Gate, factor: int, seconds: float
) -> list[Answer]:
    """Clients at even intervals, `factor` times what the engines can."""
    count, loop = round(seconds * factor * CAPACITY_PER_S), asyncio.get_running_loop()
    began_s, tasks = loop.time(), []
    for number in range(count):
        await asyncio.sleep(began_s + number / (factor * CAPACITY_PER_S) - loop.time())
        tasks.append(asyncio.create_task(ask(session, gate)))
    return list(await asyncio.gather(*tasks))


def row(factor: int, answers: Sequence[Answer], seconds: float) -> tuple[str, ...]:
    admitted = [each.after_s for each in answers if each.status == 200]
    refused = [each.after_s for each in answers if each.status == 503]
    others = len(answers) - len(admitted) - len(refused)
    return (
        f"{factor}x",
        f"{len(answers) / seconds:.0f}",
        f"{len(admitted) / seconds:.0f}",
        f"{percentile(admitted, 0.5) * 1_000:.0f}",
        f"{percentile(admitted, 0.99) * 1_000:.0f}",
        f"{percentile(refused, 0.5) * 1_000:.1f}" if refused else "-",
        f"{percentile(refused, 0.99) * 1_000:.1f}" if refused else "-",
        str(others),
    )


HEADERS = (
    "offered",
    "requests/s",
    "answered/s",
    "p50 ms",
    "p99 ms",
    "refused p50 ms",
    "refused p99 ms",
    "other answers",
)


async def measure(seconds: float) -> Table:
    rows = []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        ports = [await stack.enter_async_context(engine()) for _ in range(ENGINES)]
        gate = await stack.enter_async_context(gateway(ports, folder))
        session = await stack.enter_async_context(_session(gate))
        for factor in FACTORS:
            rows.append(row(factor, await offer(session, gate, factor, seconds), seconds))
    return Table("Overload", HEADERS, tuple(rows))


def page(shown: Table, where: machine.Machine) -> str:
    """Its section of RESULTS.md."""
    return f"""\
{shown.markdown().removeprefix("#")}
{where.words} `python -m ops.bench.overload --save`:
{ENGINES} engines of {PLACES} places, {SERVICE_S * 1_000:.0f} ms for each request, which makes
{CAPACITY_PER_S:.0f} requests/s; clients come at even intervals, whether or not earlier ones were
answered, and the gateway keeps to one core. What is refused is 503 with `Retry-After`.
"""


def _session(gate: Gate) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        headers={"Authorization": f"Bearer {gate.key}"},
        timeout=aiohttp.ClientTimeout(total=CLIENT_DEADLINE_S),
        json_serialize=json.dumps,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each load")
    parser.add_argument("--save", action="store_true", help="renew its section of RESULTS.md")
    options = parser.parse_args()
    child.leave_by_exception()
    shown = uvloop.run(measure(options.seconds))
    sys.stdout.write(shown.markdown())
    if options.save:
        saved.save("overload", page(shown, machine.describe()))


if __name__ == "__main__":
    main()
