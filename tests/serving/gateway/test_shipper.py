"""The spool reaches the ledger, also a dead gateway's, and an absent ledger is waited for."""

import asyncio
import os
from pathlib import Path

import pytest

from serving.gateway import shipper as module
from serving.gateway.shipper import Shipper
from serving.spool import Spool
from serving.spool_claim import Claim
from serving.spool_part import parts_of
from serving.spool_underway import Underway
from tests.deployments.ledger.records import sent
from tests.serving.test_spool import ids, numbers, record


class FakeLedger:
    """Takes lines, or not."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        #: Answers of the next calls; true when they are used up.
        self.answers: list[bool] = []
        self.calls = 0

    async def send(self, lines: bytes) -> bool:
        self.calls += 1
        if self.answers and not self.answers.pop(0):
            return False
        self.taken += ids(lines)
        return True


async def left_behind(folder: Path, name: str, *records: int) -> None:
    """The spool of a gateway that is gone."""
    spool = Spool(folder, name)
    for number in records:
        spool.append(record(number))
    await spool.close()


async def test_what_is_not_taken_is_sent_again_and_then_no_more(tmp_path: Path) -> None:
    ledger, spool = FakeLedger(), Spool(tmp_path, "gw")
    for number in range(3):
        spool.append(record(number))
    ledger.answers = [False]
    shipper = Shipper(spool, ledger.send)
    assert not await shipper.ship()
    assert ledger.taken == []
    assert await shipper.ship()
    assert await shipper.ship()
    assert ledger.taken == numbers(3)
    await spool.close()
    assert os.listdir(tmp_path) == []


async def test_the_spools_of_dead_gateways_are_shipped_and_removed(tmp_path: Path) -> None:
    await left_behind(tmp_path, "gateway.a", 0, 1)
    await left_behind(tmp_path, "gateway.b", 2)
    ledger, spool = FakeLedger(), Spool(tmp_path, "gateway.c")
    spool.append(record(3))
    assert await Shipper(spool, ledger.send).ship_orphans()
    assert ledger.taken == numbers(3)
    assert list(parts_of(tmp_path)) == ["gateway.c"]
    await spool.close()


async def test_what_replicas_had_when_their_gateway_was_killed_is_shipped_behind_its_records(
    tmp_path: Path,
) -> None:
    await left_behind(tmp_path, "gateway.a", 0)
    underway = Underway(tmp_path / "gateway.a.underway")
    for number in (1, 2):
        underway.note(sent(str(number)))
    underway.close()
    ledger, spool = FakeLedger(), Spool(tmp_path, "gw")
    shipper = Shipper(spool, ledger.send)
    ledger.answers = [True, False]
    assert not await shipper.ship_orphans()
    assert await shipper.ship_orphans()
    assert ledger.taken == numbers(3)
    await spool.close()
    assert os.listdir(tmp_path) == []


async def test_the_spool_of_a_gateway_that_lives_is_left_to_it(tmp_path: Path) -> None:
    other, spool, ledger = Spool(tmp_path, "other"), Spool(tmp_path, "gw"), FakeLedger()
    other.append(record(0))
    assert await Shipper(spool, ledger.send).ship_orphans()
    assert ledger.calls == 0
    assert "other" in parts_of(tmp_path)
    await other.close()
    await spool.close()


async def test_an_orphan_that_is_not_taken_stays_and_can_be_claimed_again(tmp_path: Path) -> None:
    await left_behind(tmp_path, "gateway.a", 0)
    ledger, spool = FakeLedger(), Spool(tmp_path, "gw")
    ledger.answers = [False]
    shipper = Shipper(spool, ledger.send)
    assert not await shipper.ship_orphans()
    claim = Claim.take(tmp_path, "gateway.a")
    assert claim is not None
    claim.release()
    assert await shipper.ship_orphans()
    assert ledger.taken == ["0"]
    await spool.close()


async def test_an_absent_ledger_is_asked_less_and_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, spool = FakeLedger(), Spool(tmp_path, "gw")
    spool.append(record(0))
    ledger.answers = [False] * 5
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def slept(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr("serving.gateway.shipper.asyncio.sleep", slept)
    running = asyncio.ensure_future(Shipper(spool, ledger.send, period_s=1.0).run())
    while not ledger.taken:
        await sleep(0)
    while len(pauses) < 6:
        await sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert pauses[:6] == [2.0, 4.0, 8.0, 10.0, 10.0, 1.0]
    monkeypatch.undo()
    await spool.close()


async def test_a_gateway_that_ends_ships_the_rest_of_its_own(tmp_path: Path) -> None:
    ledger, spool = FakeLedger(), Spool(tmp_path, "gw")
    spool.append(record(0))
    shipper = Shipper(spool, ledger.send)
    await spool.close()
    await shipper.farewell()
    assert ledger.taken == ["0"]
    assert os.listdir(tmp_path) == []


async def test_a_gateway_that_ends_does_not_wait_for_a_ledger_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FAREWELL_S", 0.01)
    spool = Spool(tmp_path, "gw")
    spool.append(record(0))

    async def hangs(lines: bytes) -> bool:
        await asyncio.Event().wait()
        return True

    shipper = Shipper(spool, hangs)
    await spool.close()
    await shipper.farewell()
    assert list(parts_of(tmp_path)) == ["gw"]
