"""What replicas have when a gateway is killed is known to its successor, and nothing else is."""

import json
import os
import struct
from pathlib import Path

import msgspec
import pytest

from serving import bounds
from serving import spool_underway as module
from serving.money import Price
from serving.spool import Spool
from serving.spool_underway import Underway, noted
from serving.usage import UsageRecord
from tests.deployments.ledger.records import cut, sent
from tests.serving.test_spool import ids, on_disk

PRICE = Price(1, 2, 3)


def known(folder: Path) -> list[str]:
    """What a successor would find now."""
    return sorted(ids(noted(folder / "gw.underway")))


async def test_a_request_is_known_from_when_it_is_noted_until_it_is_let_go(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "gw")
    slots = [spool.note(sent(str(number))) for number in range(3)]
    assert known(tmp_path) == ["0", "1", "2"]
    spool.let_go(slots[1])
    assert known(tmp_path) == ["0", "2"]
    assert spool.note(sent("3")) == slots[1]
    assert known(tmp_path) == ["0", "2", "3"]
    for slot in slots:
        spool.let_go(slot)
    assert known(tmp_path) == []
    await spool.close()
    assert os.listdir(tmp_path) == []


async def test_what_finds_no_slot_is_not_noted_and_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNDERWAY_REQUESTS", 2)
    spool = Spool(tmp_path, "gw")
    slots = [spool.note(sent(str(number))) for number in range(3)]
    assert slots[2] is None
    for slot in slots:
        spool.let_go(slot)
    assert spool.note(sent("4")) is not None
    await spool.close()


def test_a_line_that_is_too_long_is_not_noted(tmp_path: Path) -> None:
    underway = Underway(tmp_path / "gw.underway")
    room = bounds.UNDERWAY_BYTES - 2 - len(msgspec.json.encode(sent(tenant="")))
    assert underway.note(sent(tenant="x" * (room + 1))) is None
    assert underway.note(sent(tenant="x" * room)) is not None
    [line] = noted(tmp_path / "gw.underway").splitlines()
    assert json.loads(line)["tenant"] == "x" * room
    underway.close()


def test_what_is_found_is_a_record_of_a_request_that_was_cut(tmp_path: Path) -> None:
    underway = Underway(tmp_path / "gw.underway")
    underway.note(sent(tenant="ada", attempts=2, price=PRICE))
    [line] = noted(tmp_path / "gw.underway").splitlines()
    found = msgspec.json.decode(line, type=UsageRecord)
    assert found == cut(tenant="ada", attempts=2, price=PRICE, completion_tokens=0, duration_s=0.0)
    underway.close()


@pytest.mark.parametrize("left", [b'{"request_id": "7"}', b"[1, 2", b"\xff"])
def test_what_cannot_be_read_is_for_the_ledger_to_refuse(tmp_path: Path, left: bytes) -> None:
    """A gateway of another version may have left it."""
    path = tmp_path / "gw.underway"
    path.write_bytes(struct.pack("<H", len(left)) + left)
    assert noted(path) == left + b"\n"


async def test_what_a_namesake_left_is_recorded(tmp_path: Path) -> None:
    """One that is started by hand has the same name again."""
    left = Underway(tmp_path / "gw.underway")
    left.note(sent("7"))
    left.close()
    spool = Spool(tmp_path, "gw")
    assert known(tmp_path) == []
    await spool.close()
    assert on_disk(tmp_path) == ["7"]


async def test_without_room_on_the_disk_requests_are_served_and_not_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, size_bytes: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "mapped", full)
    spool = Spool(tmp_path, "gw")
    assert spool.note(sent()) is None
    spool.let_go(None)
    assert "No space left" in caplog.text
    await spool.close()
