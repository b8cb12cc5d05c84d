"""What replicas have when a gateway is killed is known to its successor, and nothing else is."""

import json
import os
from pathlib import Path

import pytest

from serving import bounds
from serving import spool_underway as module
from serving.spool import Spool
from serving.spool_underway import Underway, noted
from tests.serving.test_spool import ids, on_disk, record


def known(folder: Path) -> list[str]:
    """What a successor would find now."""
    return sorted(ids(noted(folder / "gw.underway")))


async def test_a_request_is_known_from_when_it_is_noted_until_it_is_let_go(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "gw")
    slots = [spool.note(record(number)) for number in range(3)]
    assert known(tmp_path) == ["0", "1", "2"]
    spool.let_go(slots[1])
    assert known(tmp_path) == ["0", "2"]
    assert spool.note(record(3)) == slots[1]
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
    slots = [spool.note(record(number)) for number in range(3)]
    assert slots[2] is None
    for slot in slots:
        spool.let_go(slot)
    assert spool.note(record(4)) is not None
    await spool.close()


def test_a_line_that_is_too_long_is_not_noted(tmp_path: Path) -> None:
    underway = Underway(tmp_path / "gw.underway")
    assert underway.note(b"x" * (bounds.UNDERWAY_BYTES - 1)) is None
    assert underway.note(b"x" * (bounds.UNDERWAY_BYTES - 2)) is not None
    assert noted(tmp_path / "gw.underway") == b"x" * (bounds.UNDERWAY_BYTES - 2) + b"\n"
    underway.close()


async def test_what_a_namesake_left_is_recorded(tmp_path: Path) -> None:
    """One that is started by hand has the same name again."""
    left = Underway(tmp_path / "gw.underway")
    left.note(json.dumps({"request_id": "7"}).encode())
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
    assert spool.note(record(0)) is None
    spool.let_go(None)
    assert "No space left" in caplog.text
    await spool.close()
