"""Usage records are on the disk, whole and once, when they are made; or new work is refused."""

import errno
import json
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving import spool as module
from serving import spool_part
from serving.spool import Spool
from serving.spool_claim import Claim
from serving.spool_part import Part, batches, parts_of
from serving.usage import Outcome, UsageRecord
from tests.faults.recovering import Note, recovering
from tests.small_disk import small_disk


def record(number: int) -> UsageRecord:
    return UsageRecord(str(number), "key", "m", "m", "r", 1, 2, 0, Outcome.COMPLETE, 1.0, 0.5, 1)


def ids(data: bytes) -> list[str]:
    return [json.loads(line)["request_id"] for line in data.splitlines()]


def on_disk(folder: Path) -> list[str]:
    """What a successor would find, in the order it was written."""
    parts = [path for paths in parts_of(folder).values() for path in paths]
    return [each for path in parts for lines in batches(path) for each in ids(lines)]


async def shipped(spool: Spool) -> list[str]:
    """Everything, acknowledged."""
    found = []
    while (batch := await spool.unshipped()) is not None:
        found += ids(batch.lines)
        await spool.acknowledge(batch)
    return found


async def fill(spool: Spool, count: int) -> None:
    """So many records, on disk."""
    for number in range(count):
        spool.append(record(number))
    if spool._making is not None:
        await spool._making


def numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


async def test_a_record_is_in_the_file_when_append_returns(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", "gw")
    for number in range(3):
        spool.append(record(number))
        assert on_disk(tmp_path / "s") == numbers(number + 1)
    await spool.close()
    assert on_disk(tmp_path / "s") == numbers(3)
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700
    (path,) = parts_of(tmp_path / "s")["gw"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().count(b"\n") == 3
    assert b"\x00" not in path.read_bytes()


async def test_a_full_part_is_followed_by_another(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "gw", rotate_bytes=600)
    await fill(spool, 20)
    await spool.close()
    assert len(parts_of(tmp_path)["gw"]) > 1
    assert on_disk(tmp_path) == numbers(20)


async def test_what_was_acknowledged_is_gone_and_nothing_is_left_of_an_empty_spool(
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path, "gw", rotate_bytes=600)
    await fill(spool, 20)
    assert await shipped(spool) == numbers(20)
    assert await spool.unshipped() is None
    spool.append(record(20))
    assert await shipped(spool) == ["20"]
    await spool.close()
    assert os.listdir(tmp_path) == []


async def test_a_batch_is_bounded_and_made_of_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = len(msgspec.json.encode(record(0))) + 1
    monkeypatch.setattr(spool_part, "BATCH_BYTES", 2 * line + line // 2)
    spool = Spool(tmp_path, "gw")
    for number in range(9):
        spool.append(record(number))
    batch = await spool.unshipped()
    assert batch is not None
    assert ids(batch.lines) == numbers(2)
    await spool.acknowledge(batch)
    assert await shipped(spool) == numbers(9)[2:]
    await spool.close()


async def test_31_a_disk_that_is_full_for_a_while_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, "gw", rotate_bytes=600, flush_s=0.001)
    allocate, is_full = os.posix_fallocate, True

    def short(handle: int, offset: int, size: int) -> None:
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        allocate(handle, offset, size)

    monkeypatch.setattr("serving.spool_part.os.posix_fallocate", short)
    for number in range(10):
        spool.append(record(number))
    assert not spool.is_full
    monkeypatch.setattr(module, "SPOOL_RECORDS", 5)
    assert spool.is_full
    found = await shipped(spool)
    assert found == numbers(len(found))
    assert len(found) < 10
    is_full = False
    await spool.close()
    assert [*found, *on_disk(tmp_path)] == [*numbers(len(found)), *on_disk(tmp_path)]
    assert sorted({*found, *on_disk(tmp_path)}, key=int) == numbers(10)


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: a small disk cannot be mounted")
async def test_31_a_disk_that_fills_up_and_has_room_again_takes_every_record(
    tmp_path: Path, record_property: Note
) -> None:
    with small_disk(tmp_path):
        spool = Spool(tmp_path, "gw", flush_s=0.001)
        others = tmp_path / "others"
        others.write_bytes(b"x" * (os.statvfs(tmp_path).f_bavail * 4_096))
        for number in range(6_000):  # two parts' worth, and room for one
            spool.append(record(number))
        await spool._pause()
        assert spool._buffer
        assert not spool.is_full
        others.unlink()
        with recovering(record_property):
            await fill(spool, 0)
        assert not spool._buffer
        assert on_disk(tmp_path) == numbers(6_000)
        await spool.close()


async def test_31_a_spool_keeps_to_its_bound_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "SPOOL_BYTES", 1_300)
    spool = Spool(tmp_path, "gw", rotate_bytes=600)
    for number in range(30):
        spool.append(record(number))
    await spool._pause()
    assert sum(path.stat().st_size for path in parts_of(tmp_path)["gw"]) <= 1_300
    assert "the spool holds its" in caplog.text
    monkeypatch.undo()
    await spool.close()
    assert on_disk(tmp_path) == numbers(30)


async def test_a_disk_with_little_room_is_used_in_small_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SPOOL_BYTES", 100_000)
    spool = Spool(tmp_path, "gw")
    spool.append(record(0))
    assert [path.stat().st_size for path in parts_of(tmp_path)["gw"]] == [64 * 1024]
    await spool.close()


async def test_a_spool_on_a_disk_that_takes_nothing_says_how_much_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "SPOOL_BYTES", 0)
    spool = Spool(tmp_path, "gw")
    spool.append(record(0))
    await spool.close()
    assert "1 usage records could not be written" in caplog.text


async def test_a_file_that_somebody_removed_holds_up_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path, "gw", rotate_bytes=600)
    await fill(spool, 4)
    parts_of(tmp_path)["gw"][0].unlink()
    found = await shipped(spool)
    assert found == numbers(4)[-len(found) :]
    assert "was removed with" in caplog.text
    await spool.close()


async def test_two_spools_of_one_name_do_not_write_into_each_other(tmp_path: Path) -> None:
    one, two = Spool(tmp_path, "gw"), Spool(tmp_path, "gw")
    one.append(record(1))
    two.append(record(2))
    await one.close()
    await two.close()
    assert sorted(on_disk(tmp_path)) == ["1", "2"]
    assert len(parts_of(tmp_path)) == 2


async def test_a_spool_that_lives_cannot_be_claimed_and_one_that_died_can(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "gateway.1a")
    spool.append(record(1))
    assert Claim.take(tmp_path, "gateway.1a") is None
    await spool.close()
    claim = Claim.take(tmp_path, "gateway.1a")
    assert claim is not None
    assert [path.name for path in claim.parts()] == ["gateway.1a.0.jsonl"]
    claim.release()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.data())
def test_68_a_kill_in_the_middle_of_a_line_leaves_the_lines_before_it(
    tmp_path: Path, data: st.DataObject
) -> None:
    """Whatever bytes of the last line had reached the memory: without its newline it is none."""
    path = tmp_path / "gw.0.jsonl"
    path.unlink(missing_ok=True)
    lines = data.draw(st.lists(st.integers(0, 10**9), min_size=1, max_size=5))
    whole = b"".join(b'{"request_id":"%d"}\n' % number for number in lines)
    part = Part(path, 4096)
    for line in whole.splitlines():
        part.append(line)
    torn = b'{"request_id":"torn"}'
    kept = data.draw(st.lists(st.booleans(), min_size=len(torn), max_size=len(torn)))
    size = path.stat().st_size
    part.seal()
    with path.open("r+b") as file:
        file.seek(len(whole))
        file.write(bytes(byte if keeps else 0 for byte, keeps in zip(torn, kept, strict=True)))
    assert path.stat().st_size == size
    assert b"".join(batches(path)) == whole


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.integers(1, 900), max_size=30), st.integers(1, 2_000))
def test_batches_of_a_file_are_the_file(tmp_path: Path, sizes: list[int], batch_bytes: int) -> None:
    path = tmp_path / "gw.0.jsonl"
    whole = b"".join(b"x" * size + b"\n" for size in sizes)
    path.write_bytes(whole + b"\x00" * 10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool_part, "BATCH_BYTES", batch_bytes)
        found = list(batches(path))
    assert b"".join(found) == whole
    assert all(lines.endswith(b"\n") for lines in found)
    assert all(len(lines) <= batch_bytes or lines.count(b"\n") == 1 for lines in found)
