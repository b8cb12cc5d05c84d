"""A gateway among replicas that fail, and what holds after every fault.

    async def test_03_...(faulty: Faulty) -> None:
        one, two = replicas(2)
        one.script = [dies_after("a", "b")]
        async with faulty(one, two) as site:
            reply = await site.chat(stream=True)
            [record] = await site.invariants_hold()

Real gateway, real sockets, scripted engines. Whatever a test forgets to check is checked when the
context ends.
"""

import asyncio
import contextlib
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from serving.gateway.core import GatewayCore
from serving.gateway.exchange import Exchange
from tests.fakes import FakeReplica, answers, fake_replica
from tests.faults.recovering import Note
from tests.serving.gateway.rig import CHAT, HELLO, Client, Reply, Rig, gateway

Record = dict[str, Any]
#: A request, an abort and a plain request after a fault each end within this or the test fails: a
#: hang is found, a slow machine is none.
LIMIT_S = 20.0


def replicas(count: int) -> list[FakeReplica]:
    """Replicas of one model, not started yet."""
    return [FakeReplica(replica_id=f"tiny.{number}-x") for number in range(count)]


class WatchedCore(GatewayCore):
    """A gateway that remembers which requests it took on."""

    accepted: list[str]

    def serve(self, exchange: Exchange) -> None:
        super().serve(exchange)
        if exchange.job is not None:
            self.accepted.append(exchange.id)


def kind_of(reply: Reply) -> str:
    """What a client has seen. AssertionError where it is none of: a complete answer, a stream that
    ends with an error event, an error in the envelope.
    """
    if reply.status != 200:
        return f"{reply.status} {reply.error['code'] or reply.error['type']}"
    if not reply.headers["content-type"].startswith("text/event-stream"):
        assert "error" not in reply.json
        return "200 complete"
    *before, last = reply.events
    assert "[DONE]" not in before
    assert not any(event.startswith('{"error"') for event in before)
    if last == "[DONE]":
        return "200 complete"
    error = json.loads(last)["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    return f"200 cut, {error['code']}"


@dataclass
class Site:
    rig: Rig
    core: WatchedCore
    note: Note
    seen: Counter[str] = field(default_factory=Counter)
    #: Loop time at which the fault struck, or ended where nothing could be served meanwhile.
    struck_s: float | None = None
    #: Requests of ours, after the fault.
    _plain: frozenset[str] = frozenset()
    _records: list[Record] | None = None

    # What clients do
    async def chat(self, **changes: Any) -> Reply:
        return await self.ask("POST", CHAT, {**HELLO, **changes})

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        self.strikes(again=False)
        reply = await self.rig.ask(method, path, body, **headers)
        self.saw(kind_of(reply))
        return reply

    async def connect(self) -> Client:
        """For a client that does what no well-behaved one does; `saw` takes what it has seen."""
        self.strikes(again=False)
        return await self.rig.connect()

    def saw(self, kind: str) -> None:
        self.seen[kind] += 1

    # What the test says
    def strikes(self, again: bool = True) -> None:
        """The fault is now; where a test does not say, it is with the first request."""
        if again or self.struck_s is None:
            self.struck_s = self.core.loop.time()

    def heals(self) -> None:
        """All replicas are well again, as far as they run."""
        for replica in self.rig.replicas:
            replica.behaviour, replica.script = answers, []
        self.strikes()

    def measured(self, what: str, value: float, unit: str) -> None:
        """A figure for the report."""
        self.note("measured", f"{what} {value:.3g} {unit}")

    # What holds afterwards
    async def invariants_hold(self, next_kind: str = "200 complete") -> list[Record]:
        """Checks what faults.md lists under "after every fault test"; returns the usage records.
        `next_kind` is what a plain request is answered from now on. Ends the gateway.
        """
        await self._engines_are_idle()
        recovery_s = await self._recovers(next_kind)
        self.note("recovery_s", recovery_s)
        return await self.ended()

    async def ended(self) -> list[Record]:
        """The same for a gateway that has ended, and answers no further request."""
        await self._engines_are_idle()
        await until(self._nothing_is_in_flight)
        self._records = await self.rig.records()
        recorded = Counter(record["request_id"] for record in self._records)
        assert recorded == Counter(self.core.accepted), "one record for each accepted request"
        self.note("seen", dict(self.seen))
        return [record for record in self._records if record["request_id"] not in self._plain]

    async def _engines_are_idle(self) -> None:
        for replica in self.rig.replicas:
            await replica.until(lambda replica=replica: replica.running == 0, LIMIT_S)  # type: ignore[misc]

    async def _recovers(self, wanted: str) -> float:
        """Seconds from the fault to the first plain request that is answered as it should be."""
        loop, before = self.core.loop, len(self.core.accepted)
        async with asyncio.timeout(LIMIT_S):
            while kind_of(await self.rig.ask("POST", CHAT, HELLO)) != wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        self._plain = frozenset(self.core.accepted[before:])
        return loop.time() - (loop.time() if self.struck_s is None else self.struck_s)

    def _nothing_is_in_flight(self) -> bool:
        core = self.core
        meters = core.meters.report()
        return (
            all(count == 0 for _, count in core.in_flight())
            and (core.budget.in_flight, core.budget.retrying) == (0, 0)
            and all((each.queued, each.tokens_in_flight) == (0, 0) for each in meters)
        )

    @property
    def is_checked(self) -> bool:
        return self._records is not None


async def until(holds: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    """Waits for something in this process to be so, a turn of the loop at a time."""
    async with asyncio.timeout(limit_s):
        while not holds():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)


@asynccontextmanager
async def open_site(
    folder: Path, note: Note, *engines: FakeReplica, **given: Any
) -> AsyncIterator[Site]:
    """A gateway in front of these replicas, which are started where they do not run yet."""
    is_second = any(each.is_up for each in engines)
    tasks, descriptors = asyncio.all_tasks(), _descriptors()
    async with AsyncExitStack() as stack:
        for each in engines:
            if not each.is_up:
                await stack.enter_async_context(fake_replica(each))
        own = Path(mkdtemp(dir=folder))
        rig = await stack.enter_async_context(
            gateway(own, *engines, core_type=WatchedCore, **given)
        )
        assert isinstance(rig.core, WatchedCore)
        rig.core.accepted = []
        site = Site(rig, rig.core, note)
        yield site
        if not site.is_checked:
            await site.invariants_hold()
    if not is_second:  # what engines still do may be for the first gateway
        await until(lambda: asyncio.all_tasks() <= tasks)
        await until(lambda: _descriptors() <= descriptors)


def _descriptors() -> set[str]:
    """What is open, by name."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one of the listing itself
            found.add(os.readlink(f"/proc/self/fd/{number}"))
    return found


Faulty = Callable[..., AbstractAsyncContextManager[Site]]
