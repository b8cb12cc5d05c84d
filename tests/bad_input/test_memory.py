"""The corpus again and again against one gateway: never a 500, and memory stays as it was."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bad_input.case import Case, corpus, count
from tests.fakes import FakeReplica, fake_replica
from tests.serving.gateway.rig import Client

CASES = list(corpus())
#: Then caches are full and Python has taken what the largest bodies need.
WARM_ROUNDS, ROUNDS = 3, 40
#: Of all rounds together: a byte kept of each case would be 37 kB, a body of each 100 MiB.
GROWTH_BYTES = 4 * 1024 * 1024
AT_ONCE = 8
#: To a client that lingers and to the replica, for each of those.
CONNECTIONS = 2 * AT_ONCE
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Served:
    port: int
    pid: int

    def rss_bytes(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE_BYTES

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))


@pytest.mark.heavy
@pytest.mark.timeout(1200)
async def test_bad_input_is_never_a_500_and_leaves_nothing_in_memory(tmp_path: Path) -> None:
    async with fake_replica(FakeReplica(count=count)) as replica, served(tmp_path, replica) as it:
        await rounds(it, replica, WARM_ROUNDS)
        rss_bytes, descriptors = it.rss_bytes(), it.descriptors()
        await rounds(it, replica, ROUNDS)
        grown_bytes = it.rss_bytes() - rss_bytes
        print(f"{ROUNDS * len(CASES)} requests, {grown_bytes / 1024:.0f} KiB more")
        assert grown_bytes <= GROWTH_BYTES
        assert it.descriptors() <= descriptors + CONNECTIONS


async def rounds(served: Served, replica: FakeReplica, times: int) -> None:
    for _ in range(times):
        waiting = iter(CASES)
        await asyncio.gather(*(send_in_turn(served, waiting) for _ in range(AT_ONCE)))
        replica.calls.clear()


async def send_in_turn(served: Served, waiting: Iterator[Case]) -> None:
    for case in waiting:
        assert await status_of(served.port, case) in case.statuses, case.id


async def status_of(port: int, case: Case) -> int:
    client = Client(*await asyncio.open_connection("127.0.0.1", port, limit=2**22))
    try:
        await client.send(case.request)
        async with asyncio.timeout(10):
            status, headers = await client.head()
            if not case.is_head and "content-length" in headers:
                await client.reader.readexactly(int(headers["content-length"]))
        return status
    finally:
        await client.close()


@asynccontextmanager
async def served(folder: Path, replica: FakeReplica) -> AsyncIterator[Served]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bad_input.served", str(folder), str(replica.port)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield Served(int(await process.stdout.readline()), process.pid)
    finally:
        process.stdin.close()
        assert await process.wait() == 0
