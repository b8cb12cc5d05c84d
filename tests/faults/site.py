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
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from serving.limits.lease import WHOLE
from serving.limits.terms import Limits
from tests.fakes import Call, FakeReplica, answers, fake_replica
from tests.faults.recovering import Note
from tests.serving.gateway.rig import CHAT, HELLO, KEY_RECORD, Client, Reply, Rig, gateway
from tests.serving.gateway.watched import WatchedCore

Record = dict[str, Any]
#: A request, an abort and a plain request after a fault each end within this or the test fails: a
#: hang is found, a slow machine is none.
LIMIT_S = 20.0
#: So that each request reserves something; more than any test uses.
AMPLE = Limits(requests_per_minute=10**6, tokens_per_minute=10**9, concurrent=10**4)
LIMITED_KEY = replace(KEY_RECORD, limits=AMPLE)


def replicas(count: int) -> list[FakeReplica]:
    """Replicas of one model, not started yet."""
    return [FakeReplica(replica_id=f"tiny.{number}-x") for number in range(count)]


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


def tokens_in(stream: Reply, path: str) -> int:
    """Events with a choice; in a chat the first opens it and is no token."""
    return max(0, stream.body.count(b'"choices":[{') - (path == CHAT))


@dataclass
class Site:
    rig: Rig
    note: Note
    seen: Counter[str] = field(default_factory=Counter)
    #: Loop time at which the fault struck, or ended where nothing could be served meanwhile.
    struck_s: float | None = None
    #: Tokens that came in streams which the client has read to their end, by request.
    _shown: dict[str, int] = field(default_factory=dict)
    #: Requests of ours, after the fault.
    _plain: frozenset[str] = frozenset()
    _records: list[Record] | None = None

    @property
    def core(self) -> WatchedCore:
        return self.rig.core

    # What clients do
    async def chat(self, **changes: Any) -> Reply:
        return await self.ask("POST", CHAT, {**HELLO, **changes})

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        self.strikes(again=False)
        reply = await self.rig.ask(method, path, body, **headers)
        self.saw(kind_of(reply))
        if reply.headers["content-type"].startswith("text/event-stream"):
            self._shown[reply.headers["x-request-id"]] = tokens_in(reply, path)
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
        await until(lambda: self.core.is_at_rest)
        self._records = await self.rig.records()
        recorded = Counter(record["request_id"] for record in self._records)
        assert recorded == Counter(self.core.accepted), "one record for each accepted request"
        for record in self._records:
            self._agrees(record)
        self._reservations_are_given_back()
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

    def _agrees(self, record: Record) -> None:
        """Tokens are the engine's count. Where nobody heard it they are those of the stream, and
        marked as estimated: no more than the engine made, and as many as the client was shown.
        """
        call, tokens = self._call_of(record), record["completion_tokens"]
        told = None if call is None else call.told
        if not record["is_estimated"]:
            assert (record["prompt_tokens"], tokens) == (told or (0, 0)), "the engine's count"
            return
        assert told is None or record["outcome"] != "complete", "the engine has told"
        assert tokens <= (0 if call is None else call.made), "more than there was"
        assert tokens == self._shown.get(record["request_id"], tokens), "not what was shown"

    def _call_of(self, record: Record) -> Call | None:
        """The last try, at the replica that the record names."""
        key = record["request_id"], record["replica_id"]
        calls = [call for each in self.rig.replicas for call in each.calls]
        return next((c for c in reversed(calls) if (c.id, c.replica.replica_id) == key), None)

    def _reservations_are_given_back(self) -> None:
        """Of a limit so much is charged as was used, once nothing runs."""
        assert self._records is not None
        most = sum(map(self._most_charged, self._records))
        for account in self.core.gate._accounts.values():
            assert account.tokens.total <= most, "a reservation leaked"

    def _most_charged(self, record: Record) -> int:
        """Where nobody told what was used the reservation may stand, and what outgrew it."""
        prompt, made = int(record["prompt_tokens"]), int(record["completion_tokens"])
        if not record["is_estimated"]:
            return prompt + made
        hold = self.core.holds[record["request_id"]]
        return max(hold.tokens, hold.prompt_tokens + made)

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
        rig = await stack.enter_async_context(gateway(own, *engines, **given))
        rig.core.gate.take(WHOLE)
        rig.keys = (LIMITED_KEY,)
        rig.publish()
        site = Site(rig, note)
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
