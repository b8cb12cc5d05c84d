"""A replica as a process of its own: a scripted engine behind a real port, which reports to the
Controller, and tells the ledger its counts, as a replica does.

python -m tests.soak.replica NAME FOLDER NUMBER MOST_RUNNING
"""

import asyncio
import contextlib
import logging
import random
import secrets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop

from serving.replica.tally import Tally
from serving.replica.telling import Telling
from serving.snapshot import Load
from tests.bad_input.case import count
from tests.fakes import FakeReplica
from tests.soak.engine import Engine
from tests.soak.program import socket_path, told_to_end
from tests.soak.wire import Failed, Handle, serving

REPORT_PERIOD_S = 0.25
CALL_DEADLINE_S = 2.0
RECORD_DEADLINE_S = 30.0
#: Whatever happens on the way to another process.
AWAY = (Failed, OSError, TimeoutError)


class Line:
    """To the Controller."""

    def __init__(self, replica: FakeReplica, controller: Handle) -> None:
        self._replica = replica
        self._controller = controller

    async def report(self) -> bool:
        replica = self._replica
        replica.load = Load(running=min(replica.running, replica.most_running))
        try:
            async with asyncio.timeout(CALL_DEADLINE_S):
                [replica.token] = await self._controller.call("report", replica.report())
        except AWAY:
            return False
        return True

    async def run(self) -> None:
        while True:
            await self.report()
            await asyncio.sleep(REPORT_PERIOD_S)

    async def record_counts(self, lines: bytes) -> bool:
        try:
            async with asyncio.timeout(RECORD_DEADLINE_S):
                return bool(await self._controller.call("record_counts", lines))
        except AWAY:
            return False

    async def leave(self) -> None:
        with contextlib.suppress(*AWAY):
            async with asyncio.timeout(CALL_DEADLINE_S):
                await self._controller.call("leave", self._replica.replica_id)


class Body:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def is_ready(self) -> bool:
        return True

    async def behave(self, manner: str) -> None:
        self._engine.behave(manner)


async def main(name: str, folder: Path, number: int, most_running: int) -> None:
    replica = FakeReplica(
        replica_id=f"tiny.{number}-{secrets.token_hex(4)}", count=count, most_running=most_running
    )
    tally = Tally(replica.replica_id, 1, time.monotonic)
    with (folder / f"{replica.replica_id}.ran").open("ab") as log:
        engine = Engine(tally, log, random.Random(replica.replica_id))  # noqa: S311
        replica.behaviour = engine.serve
        line = Line(replica, Handle(socket_path(folder, "controller")))
        async with _living(replica, line, tally), serving(Body(engine), socket_path(folder, name)):
            await told_to_end()


@asynccontextmanager
async def _living(replica: FakeReplica, line: Line, tally: Tally) -> AsyncIterator[None]:
    """From its first report to its last word."""
    await replica.start()
    telling = Telling(tally, line.record_counts)
    tasks = [asyncio.create_task(line.run()), asyncio.create_task(telling.run())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await line.leave()
        await replica.stop()
        await telling.farewell()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    uvloop.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
