"""A gateway and its scripted engine on a thread of their own, for tests that block."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import uvloop

from tests.conformance.engine import speaks
from tests.fakes import FakeReplica, fake_replica
from tests.serving.gateway.rig import Rig, gateway

START_S = 30


@contextmanager
def served(folder: Path) -> Iterator[Rig]:
    ready: Future[tuple[Rig, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def live() -> None:
        async with (
            fake_replica(FakeReplica(behaviour=speaks)) as replica,
            gateway(folder, replica) as rig,
        ):
            stop = asyncio.Event()
            ready.set_result((rig, asyncio.get_running_loop(), stop))
            await stop.wait()

    thread = threading.Thread(target=lambda: uvloop.run(live()), name="gateway")
    thread.start()
    rig, loop, stop = ready.result(START_S)
    try:
        yield rig
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_S)
    assert not thread.is_alive()
