"""The ledger as the Controller uses it: over an event loop, on a real file, in bad company."""

import asyncio
import json
import resource
import sqlite3
import stat
import subprocess
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deployments.ledger import acts, database, questions
from deployments.ledger import ledger as module
from deployments.ledger.errors import ActRefused, LedgerUnreachable, LedgerUnusable
from deployments.ledger.ledger import Ledger
from tests.deployments.ledger.records import NOON_S, count, lines, usage

#: SQLite has its pages, 2 MiB, and the statements that it keeps.
MOST_GROWTH_MIB = 7.0


@pytest.fixture
async def ledger(home: Path) -> AsyncIterator[Ledger]:
    made = Ledger(home, lambda: NOON_S)
    yield made
    await made.close()


@pytest.fixture
async def on_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ledger]:
    """On SQLite, and quick to give up."""
    monkeypatch.setattr(database, "BUSY_S", 0.05)
    monkeypatch.setattr(module, "COOL_DOWN_S", 0.0)
    made = Ledger(tmp_path, lambda: NOON_S)
    yield made
    await made.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Somebody else writes and does not end."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def test_it_makes_itself_and_finds_itself_again(home: Path, ledger: Ledger) -> None:
    shown = await ledger.perform(acts.CreateKey("bob"), "alice")
    assert await ledger.record_usage(lines(usage("a"))) == 1
    assert await ledger.record_counts(lines(count("a", completion_tokens=5))) == 1
    again = Ledger(home, lambda: NOON_S)
    (key,) = await again.keys()
    assert key.id in shown
    assert await again.record_usage(lines(usage("a"))) == 0
    assert (await again.month()).keys[0].requests == 1
    found: Any = await again.answer(questions.Reconcile("2026-11-27", "2026-11-27"))
    assert found.agrees
    await again.close()


async def test_an_act_that_is_refused_changes_nothing(ledger: Ledger) -> None:
    with pytest.raises(ActRefused):
        await ledger.perform(acts.CreateKey("bob", "nobody"), "alice")
    assert await ledger.answer(questions.ListAudit(10)) == ()


async def test_the_file_is_private_and_survives_a_writer(tmp_path: Path, on_file: Ledger) -> None:
    await on_file.keys()
    path = tmp_path / database.FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    reader = sqlite3.connect(path)
    assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    reader.close()


async def test_while_it_is_locked_it_says_so_and_afterwards_goes_on(
    tmp_path: Path, on_file: Ledger
) -> None:
    await on_file.keys()
    with locked(tmp_path / database.FILE):
        with pytest.raises(LedgerUnreachable, match="locked"):
            await on_file.record_usage(lines(usage("a")))
        with pytest.raises(LedgerUnreachable):
            await on_file.keys()
    assert await on_file.record_usage(lines(usage("a"))) == 1


async def test_a_database_that_is_away_at_the_start_is_tried_again(
    tmp_path: Path, on_file: Ledger
) -> None:
    sqlite3.connect(tmp_path / database.FILE).close()
    with locked(tmp_path / database.FILE), pytest.raises(LedgerUnreachable):
        await on_file.keys()
    assert await on_file.keys() == ()


# Locks of SQLite are a process's: a connection of this one would show nothing.
_CONNECT = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
_COUNT = _CONNECT + "print(c.execute('SELECT count(*) FROM usage').fetchone()[0]); c.close()"  # noqa: S608
_HOLD = _CONNECT + "c.execute('BEGIN IMMEDIATE'); print(flush=True); sys.stdin.read()"


def counted_elsewhere(path: Path) -> int:
    """Requests in the ledger, by a process that opens it, looks and closes it."""
    command = [sys.executable, "-c", _COUNT, str(path)]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=60).stdout)


@contextmanager
def locked_elsewhere(path: Path) -> Iterator[None]:
    command = [sys.executable, "-c", _HOLD, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"\n"
        yield
        holder.communicate(timeout=60)


async def test_who_looks_into_a_ledger_that_was_away_at_the_start_takes_nothing_with_him(
    tmp_path: Path, on_file: Ledger
) -> None:
    path = tmp_path / database.FILE
    before = Ledger(tmp_path, lambda: NOON_S)
    await before.keys()
    await before.close()
    with locked_elsewhere(path):
        for _ in range(3):
            with pytest.raises(LedgerUnreachable):
                await on_file.keys()
    for number in (1, 2, 3):
        assert await on_file.record_usage(lines(usage(f"request {number}"))) == 1
        assert counted_elsewhere(path) == number


async def test_a_file_that_is_no_database_is_told_from_one_that_is_away(
    tmp_path: Path, on_file: Ledger
) -> None:
    (tmp_path / database.FILE).write_bytes(b"no database" * 1_000)
    with pytest.raises(LedgerUnusable, match="not a database"):
        await on_file.keys()


async def test_a_truncated_file_is_told_from_one_that_is_away(tmp_path: Path) -> None:
    before = Ledger(tmp_path)
    await before.perform(acts.CreateKey("bob"), "alice")
    await before.close()
    path = tmp_path / database.FILE
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    again = Ledger(tmp_path)
    with pytest.raises(LedgerUnusable, match="malformed"):
        await again.answer(questions.ListKeys())
    await again.close()


async def test_what_waits_too_long_in_line_is_refused_at_once(
    on_file: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BATCHES", 2)
    held = threading.Event()
    stuck = asyncio.ensure_future(on_file._call(lambda connection: held.wait(10)))
    waiting = asyncio.ensure_future(on_file.record_usage(lines(usage("a"))))
    await asyncio.sleep(0)
    with pytest.raises(LedgerUnreachable, match="busy"):
        await on_file.record_usage(lines(usage("b")))
    held.set()
    assert await stuck
    assert await waiting == 1
    assert await on_file.record_usage(lines(usage("b"))) == 1


async def test_after_a_failure_those_in_line_hear_at_once(
    tmp_path: Path, on_file: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await on_file.keys()
    monkeypatch.setattr(module, "COOL_DOWN_S", 60.0)
    tried: list[int] = []
    with locked(tmp_path / database.FILE):
        calls = [on_file._call(lambda connection: tried.append(1)) for _ in range(10)]
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, LedgerUnreachable) for result in results)
    with pytest.raises(LedgerUnreachable):
        await on_file.keys()
    assert tried == []


async def test_a_call_that_nobody_waits_for_is_done_all_the_same(on_file: Ledger) -> None:
    await on_file.keys()
    held = threading.Event()
    stuck = asyncio.ensure_future(on_file._call(lambda connection: held.wait(10)))
    given_up = asyncio.ensure_future(on_file.record_usage(lines(usage("a"))))
    await asyncio.sleep(0)
    given_up.cancel()
    held.set()
    await stuck
    assert await on_file.record_usage(lines(usage("a"))) == 0


# The key file of before
def key_file(home: Path, *entries: dict[str, Any]) -> Path:
    path = home / "keys.json"
    path.write_text(json.dumps(entries))
    return path


OLD = {"id": "abcdefgh", "name": "laptop", "digest": "01" * 32, "created_s": 5}


async def test_the_old_key_file_is_taken_over_once(home: Path, ledger: Ledger) -> None:
    path = key_file(home, OLD)
    (key,) = await ledger.keys()
    assert (key.id, key.name, key.digest, key.tenant) == (
        "abcdefgh",
        "laptop",
        b"\x01" * 32,
        "default",
    )
    assert not path.exists()
    assert (home / "keys.json.taken-over").exists()


async def test_a_crash_before_the_file_is_put_away_brings_no_revoked_key_back(
    home: Path, ledger: Ledger
) -> None:
    key_file(home, OLD)
    await ledger.perform(acts.RevokeKey("abcdefgh"), "alice")
    key_file(home, OLD)
    again = Ledger(home)
    assert await again.keys() == ()
    await again.close()


@pytest.mark.parametrize("text", ["{", "[1]", '[{"id": 1}]', "{}x"])
async def test_a_key_file_that_is_none_stops_it_and_stays(
    tmp_path: Path, on_file: Ledger, text: str
) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(LedgerUnusable, match="no key file"):
        await on_file.keys()
    assert path.read_text() == text


# Where it is
def test_a_dsn_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / database.DSN_FILE
    path.write_text("postgresql://u:secret@h/d")
    path.chmod(0o644)
    with pytest.raises(LedgerUnusable, match="chmod 600"):
        database.url_of(tmp_path)


@pytest.mark.parametrize("text", ["", "secret", "mysql://u:secret@h/d", "postgresql://u:secret@h"])
def test_a_dsn_that_is_none_is_refused_without_saying_it(text: str) -> None:
    with pytest.raises(LedgerUnusable, match="postgresql://USER") as raised:
        database.parse_dsn(text)
    assert "secret" not in str(raised.value)


def test_a_database_that_does_not_answer_is_named_without_the_password() -> None:
    engine = database.open_engine(database.parse_dsn("postgresql://u:secret@127.0.0.1:1/d"))
    with pytest.raises(LedgerUnreachable) as raised, database.transaction(engine):
        pass
    engine.dispose()
    assert "secret" not in "".join(traceback.format_exception(raised.value))


def test_a_dsn_keeps_its_password_out_of_sight() -> None:
    url = database.parse_dsn("postgresql://u:secret@h:5433/d?sslmode=require")
    assert (url.drivername, url.port, url.query["sslmode"]) == (
        "postgresql+psycopg",
        5433,
        "require",
    )
    assert "secret" not in repr(url)


async def test_batches_of_many_sizes_leave_little_memory_behind(tmp_path: Path) -> None:
    """Each is a statement of its own, of some thousand parameters."""
    ledger, sizes = Ledger(tmp_path, lambda: NOON_S), range(300, 340)
    await ledger.record_usage(lines(*(usage(f"first.{number}") for number in range(350))))
    before = rss_mib()
    for size in sizes:
        batch = [f"{size}.{number}" for number in range(size)]
        await ledger.record_usage(lines(*map(usage, batch)))
        await ledger.record_counts(lines(*map(count, batch, range(size * 1_000, size * 1_001))))
    grew_mib = rss_mib() - before
    await ledger.close()
    assert grew_mib < MOST_GROWTH_MIB


def rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20
