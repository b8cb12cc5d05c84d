"""A long and lossy way to a replica, as a TCP proxy of ours: kernels without netem have no other.

What TCP makes of a lost packet is a pause: everything behind it waits for the second sending. So a
chunk arrives a delay later, a lost one a round trip after that, and none before the one ahead of
it.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_CHUNK_BYTES = 65_536


@dataclass
class Distance:
    """In each direction."""

    delay_s: float
    lost_share: float
    dice: random.Random
    #: Chunks that went through, and those that were lost at first.
    carried: int = 0
    lost: int = 0
    _ways: set[asyncio.Task[None]] = field(default_factory=set)

    def later_s(self) -> float:
        """Of the next chunk."""
        self.carried += 1
        if self.dice.random() >= self.lost_share:
            return self.delay_s
        self.lost += 1
        return 3 * self.delay_s

    @asynccontextmanager
    async def to(self, port: int) -> AsyncIterator[str]:
        """The address from which `port` is so far away."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there = await asyncio.open_connection("127.0.0.1", port)
            for source, sink in ((reader, there[1]), (there[0], writer)):
                way = asyncio.create_task(self._carry(source, sink))
                self._ways.add(way)
                way.add_done_callback(self._ways.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        try:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for way in self._ways:
                way.cancel()
            await asyncio.gather(*self._ways, return_exceptions=True)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """One direction, until it ends; then that is carried too."""
        loop, under_way = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]]()
        reading = asyncio.create_task(self._read(source, under_way))
        try:
            while (arrival := await under_way.get())[1]:
                await asyncio.sleep(max(0.0, arrival[0] - loop.time()))
                sink.write(arrival[1])
        finally:
            reading.cancel()
            sink.close()

    async def _read(
        self, source: asyncio.StreamReader, under_way: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        loop, arrives_s, data = asyncio.get_running_loop(), 0.0, b"-"
        while data:
            data = b""
            with contextlib.suppress(ConnectionError):
                data = await source.read(_CHUNK_BYTES)
            arrives_s = max(arrives_s, loop.time() + self.later_s())
            under_way.put_nowait((arrives_s, data))
