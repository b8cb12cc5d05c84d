"""Usage records reach the disk whole and once, or new work is refused."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from serving.spool import Spool
from serving.usage import Outcome, UsageRecord


def record(number: int) -> UsageRecord:
    return UsageRecord(str(number), "key", "m", "m", "r", 1, 2, 0, Outcome.COMPLETE, 1.0, 0.5, 1)


def lines(folder: Path) -> list[dict[str, Any]]:
    parts = sorted(folder.iterdir(), key=lambda p: int(p.name.split(".")[1]))
    return [json.loads(line) for part in parts for line in part.read_text().splitlines()]


async def test_what_is_appended_is_on_disk_after_close(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", "gw")
    for number in range(5_000):
        spool.append(record(number))
    await spool.close()
    assert [line["request_id"] for line in lines(tmp_path / "s")] == [str(n) for n in range(5_000)]
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700
    assert next((tmp_path / "s").iterdir()).stat().st_mode & 0o777 == 0o600


async def test_a_full_part_is_followed_by_another(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "gw", rotate_bytes=300, flush_s=0.001)
    for number in range(4):
        spool.append(record(number))
        await spool._flush()
    await spool.close()
    assert len(os.listdir(tmp_path)) > 1
    assert [line["request_id"] for line in lines(tmp_path)] == ["0", "1", "2", "3"]


async def test_31_a_disk_that_is_full_for_a_while_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, "gw", flush_s=0.001)
    write, budget = os.write, 150

    def short(file: int, data: memoryview) -> int:
        nonlocal budget
        if budget <= 0:
            raise OSError(28, "No space left on device")
        done = write(file, data[:budget])
        budget -= done
        return done

    spool.append(record(1))
    monkeypatch.setattr("serving.spool.os.write", short)
    await spool._flush()
    assert lines(tmp_path) == []
    spool.append(record(2))
    monkeypatch.setattr("serving.spool.os.write", write)
    await spool.close()
    assert [line["request_id"] for line in lines(tmp_path)] == ["1", "2"]


async def test_a_full_buffer_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.spool.SPOOL_RECORDS", 2)
    spool = Spool(tmp_path, "gw")
    assert not spool.is_full
    spool.append(record(1))
    spool.append(record(2))
    assert spool.is_full
    await spool.close()
    assert not spool.is_full
