"""Faults of the ledger and on the way to it: real gateways on real ports, the real Controller's
methods, a real database. Only Ray's calls between them are plain ones.
"""

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from deployments import controller as controller_module
from deployments.controller import Controller
from deployments.ledger import bookkeeper, database, trust
from deployments.ledger import ledger as ledger_module
from deployments.ledger.acts import CreateKey, RevokeKey
from deployments.ledger.questions import ListKeys, Reconcile, SumUsage
from deployments.ledger.reconcile import Reconciliation
from serving.gateway import shipper as shipper_module
from serving.gateway.shipper import Shipper
from serving.snapshot import GatewayReport
from serving.usage import EngineCount
from tests.fakes import FakeReplica, dies_after, fake_replica, hangs_after
from tests.faults.recovering import Note, recovering
from tests.postgresql import postgresql
from tests.serving.gateway.rig import CHAT, HELLO, QUICK, Client, Reply, Rig, gateway

ROOT = Path(__file__).parents[2]
#: Every day that a test may run on.
ALWAYS = ("2000-01-01", "9999-12-31")


@dataclass
class Site:
    """A Controller with its ledger, and gateways that ask it and ship to it."""

    home: Path
    controller: Controller
    replica: FakeReplica
    #: What the Controller's answer to a batch goes through.
    answers: Callable[[bool], bool] = lambda is_taken: is_taken
    gateways: list[Rig] = field(default_factory=list)
    shippers: list[Shipper] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def new_key(self, name: str = "client") -> str:
        return str((await self.controller.perform(CreateKey(name), "test")).value)

    async def key_id(self) -> str:
        return str((await self.controller.answer(ListKeys())).value[0].id)

    async def chat(self, key: str, at: int = 0, **changes: Any) -> Reply:
        body = {**HELLO, **changes}
        return await self.gateways[at].ask("POST", CHAT, body, authorization=f"Bearer {key}")

    async def stream(self, key: str, at: int) -> Client:
        """One that has begun."""
        client = await self.gateways[at].connect()
        body = {**HELLO, "stream": True}
        await client.request("POST", CHAT, body, authorization=f"Bearer {key}")
        await client.reader.readuntil(b'"content":"a"')
        return client

    def connect(self, rig: Rig) -> None:
        """The ties of a gateway to the Controller, as its deployment makes them."""
        self.gateways.append(rig)
        shipper = Shipper(rig.core.spool, self._send, period_s=0.01)
        self.shippers.append(shipper)
        self._tasks += [
            asyncio.create_task(self._poll(rig, f"gateway.{len(self.gateways)}")),
            asyncio.create_task(shipper.run()),
        ]

    async def _send(self, lines: bytes) -> bool:
        return self.answers(await self.controller.record_usage(lines))

    async def _poll(self, rig: Rig, name: str) -> None:
        while True:
            report = GatewayReport(name, "n", 1, "")
            snapshot = await self.controller.exchange(report, rig.core.version)
            rig.core.heard()
            if snapshot is not None:
                rig.core.apply_snapshot(snapshot)

    async def told(self) -> None:
        """Every gateway knows what the Controller knows now."""
        version = self.controller._registry.urgent_version
        await until(lambda: all(rig.core.version >= version for rig in self.gateways))

    async def all_shipped(self) -> None:
        for rig in self.gateways:
            while await rig.core.spool.unshipped() is not None:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)

    async def reconciled(self) -> Reconciliation:
        found: Reconciliation = (await self.controller.answer(Reconcile(*ALWAYS))).value
        return found

    async def requests_in_ledger(self) -> int:
        reply = await self.controller.answer(SumUsage(*ALWAYS, ()))
        return sum(row.requests for row in reply.value)

    async def close(self) -> None:
        for task in (*self._tasks, self.controller._bookkeeping):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self.controller._ledger.close()


@asynccontextmanager
async def open_site(
    home: Path, monkeypatch: pytest.MonkeyPatch, gateways: int = 1, keys_s: float = 3_600.0
) -> AsyncIterator[Site]:
    monkeypatch.setenv("FLOTILLA_HOME", str(home))
    monkeypatch.setattr(controller_module, "SETTLE_S", 0.0)
    monkeypatch.setattr(bookkeeper, "LOOK_PERIOD_S", 0.05)
    monkeypatch.setattr(database, "BUSY_S", 0.05)
    monkeypatch.setattr(ledger_module, "COOL_DOWN_S", 0.0)
    monkeypatch.setattr(shipper_module, "LONGEST_PAUSE_S", 0.05)
    controller = Controller()
    replica = FakeReplica(token=controller._registry.internal_token)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(fake_replica(replica))
        await controller.report(replica.report())
        site = Site(home, controller, replica)
        for number in range(gateways):
            folder = home / f"gateway{number}"
            opened = gateway(folder, replica, deadlines=replace(QUICK, keys_s=keys_s))
            site.connect(await stack.enter_async_context(opened))
        stack.push_async_callback(site.close)
        yield site


async def until(holds: Callable[[], bool], limit_s: float = 10.0) -> None:
    async with asyncio.timeout(limit_s):
        while not holds():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Another program holds the ledger."""
    other = sqlite3.connect(home / database.FILE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def damage(home: Path) -> None:
    """What is there is no ledger; its log would mend the file, so it goes too."""
    for path in sorted(home.glob(f"{database.FILE}*")):
        path.rename(home / f"moved-{path.name}")
    (home / database.FILE).write_bytes(b"no database" * 1_000)


def counted(site: Site, made: Callable[[int], int] = lambda index: 2) -> bytes:
    """What a real replica's tally would say: every call, also those that were cut."""
    return msgspec.json.Encoder().encode_lines(
        EngineCount(site.replica.replica_id, index, call.id, 5, 0, made(index), 0.1)
        for index, call in enumerate(site.replica.calls)
    )


async def test_58_a_revoked_key_is_refused_everywhere_and_its_streams_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Note
) -> None:
    async with open_site(tmp_path, monkeypatch, gateways=2) as site:
        key, other = await site.new_key(), None
        key_id = await site.key_id()
        other = await site.new_key("other")
        await site.told()
        site.replica.behaviour = hangs_after("a")
        streams = [await site.stream(key, at) for at in (0, 1)]
        others = await site.stream(other, 0)
        with recovering(record_property):
            async with asyncio.timeout(5):
                await site.controller.perform(RevokeKey(key_id), "test")
                ends = [await stream.reader.readuntil(b"0\r\n\r\n") for stream in streams]
                replies = [await site.chat(key, at) for at in (0, 1)]
        assert all(b'"code":"invalid_api_key"' in end and b"[DONE]" not in end for end in ends)
        assert [reply.status for reply in replies] == [401, 401]
        assert site.replica.running == 1
        others.reset()
        await site.replica.until(lambda: site.replica.running == 0)
        await site.all_shipped()
        assert await site.requests_in_ledger() == 3


async def test_59_a_locked_ledger_leaves_known_keys_for_a_while_and_then_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Note
) -> None:
    async with open_site(tmp_path, monkeypatch) as site:
        key = await site.new_key()
        await site.told()
        with locked(tmp_path):
            assert (await site.chat(key)).status == 200
            assert (await site.controller.perform(CreateKey("no"), "test")).refusal is not None
            monkeypatch.setattr(trust, "UNREACHABLE_S", 0.0)
            await until(lambda: site.gateways[0].core.is_out_of_touch)
            reply = await site.chat(key)
            assert (reply.status, reply.error["code"]) == (503, "server_is_overloaded")
            assert (await site.chat("sk-unknown")).status == 401
        monkeypatch.setattr(trust, "UNREACHABLE_S", 60.0)
        with recovering(record_property):
            await until(lambda: not site.gateways[0].core.is_out_of_touch)
            assert (await site.chat(key)).status == 200


async def test_59_a_controller_with_a_damaged_ledger_takes_no_key_away_and_gives_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_site(tmp_path, monkeypatch, keys_s=0.5) as site:
        key = await site.new_key()
        await site.told()
        before = site.controller
        damage(tmp_path)
        site.controller = Controller()
        await site.controller.report(site.replica.report())
        await site.told()
        assert (await site.chat(key)).status == 200
        await until(lambda: site.gateways[0].core.is_out_of_touch)
        assert (await site.chat(key)).status == 503
        assert before._bookkeeping is not None
        before._bookkeeping.cancel()
        await asyncio.gather(before._bookkeeping, return_exceptions=True)
        await before._ledger.close()


async def test_60_batches_whose_acknowledgement_is_lost_are_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Note
) -> None:
    dice = Random(5)  # noqa: S311
    async with open_site(tmp_path, monkeypatch, gateways=2) as site:
        key = await site.new_key()
        await site.told()
        site.answers = lambda is_taken: is_taken and dice.random() < 0.3
        for number in range(20):
            site.replica.script = [dies_after("a", "b")] if number % 5 == 0 else []
            await site.chat(key, at=number % 2, stream=number % 5 == 0)
        with recovering(record_property):
            await site.all_shipped()
        assert await site.requests_in_ledger() == 20
        before = await site.reconciled()
        assert (before.estimated, before.ledger_tokens) == (4, 16 * 2 + 4)
        assert await site.controller.record_counts(counted(site))
        assert await site.controller.record_counts(counted(site))
        found = await site.reconciled()
        assert found.agrees
        assert (found.records, found.agreeing, found.estimated) == (20, 20, 0)
        assert found.ledger_tokens == found.engine_tokens == 40


async def test_67_a_locked_ledger_under_load_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Note
) -> None:
    async with open_site(tmp_path, monkeypatch, gateways=2) as site:
        key = await site.new_key()
        await site.told()
        with locked(tmp_path):
            for number in range(60):
                assert (await site.chat(key, at=number % 2)).status == 200
            assert [len(rig.core.spool._buffer) for rig in site.gateways] == [0, 0]
        with recovering(record_property):
            await site.all_shipped()
        assert await site.requests_in_ledger() == 60


async def test_67_postgresql_stopped_under_load_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Note
) -> None:
    with postgresql() as server:
        path = tmp_path / database.DSN_FILE
        path.touch(mode=0o600)
        path.write_text(server.new_database())
        async with open_site(tmp_path, monkeypatch, gateways=2) as site:
            key = await site.new_key()
            await site.told()
            assert (await site.chat(key)).status == 200
            await asyncio.to_thread(server.stop)
            for number in range(60):
                assert (await site.chat(key, at=number % 2)).status == 200
            assert not await site.controller.record_usage(b"")
            await asyncio.to_thread(server.start)
            with recovering(record_property):
                await site.all_shipped()
            assert await site.requests_in_ledger() == 61
            assert await site.controller.record_counts(counted(site))
            found = await site.reconciled()
            assert found.agrees
            assert found.ledger_tokens == found.engine_tokens == 122


def test_68_a_gateway_killed_at_any_step_loses_and_doubles_nothing(
    tmp_path: Path, record_property: Note
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.kill_points", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    deaths = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"half a line", "a line without its end", "before commit", "after commit"} <= {
        death["killed_at"] for death in deaths
    }
    assert {"before unlink", "after unlink", "before acknowledge", "after note"} <= {
        death["killed_at"] for death in deaths
    }
    for death in deaths:
        acknowledged, recorded = death["acknowledged"], death["recorded"]
        assert set(acknowledged) <= set(recorded), death
        # The one that was being written may be there too: its answer was about to leave.
        assert len(recorded) <= len(acknowledged) + 1, death
        assert death["summed"] == len(recorded), death
        assert death["left"] == [], death
    record_property("recovery_s", max(death["succeeded_in_s"] for death in deaths))
