"""The ledger for the Controller's event loop: every call runs in one thread of its own, in turn.

Rules
- Nobody waits on the loop: a database that hangs holds up the thread and those who asked it.
- Not more than `MOST_BATCHES` batches wait: the next is refused at once, and its sender comes
  again.
- After a failure those who wait are told at once instead of waiting one after the other.
- It opens with the first call that succeeds: tables are made or brought up to date, the old key
  file is taken over. A database that is away at the start is simply tried again.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_bytes
from typing import TypeVar

from sqlalchemy import Connection, Engine

from deployments.ledger import (
    acts,
    audit,
    desk,
    keys,
    notes,
    questions,
    reports,
    retention,
    takeover,
    tenants,
    usage,
)
from deployments.ledger.database import open_engine, transaction, url_of
from deployments.ledger.errors import LedgerUnreachable
from deployments.ledger.migrate import migrate
from serving.snapshot import KeyRecord, UsageReport

#: A quarter of a MiB each.
MOST_BATCHES = 48
#: Operators find room when batches fill theirs.
MOST_WAITING = 64
#: After a failure nobody asks the database again.
COOL_DOWN_S = 1.0

Result = TypeVar("Result")


class Ledger:
    def __init__(self, home: Path, wall_clock: Callable[[], float] = time.time) -> None:
        self._home = home
        self._wall_clock = wall_clock
        self._engine: Engine | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._waiting = 0
        self._away_until_s = 0.0

    async def keys(self) -> tuple[KeyRecord, ...]:
        """Those that hold now. Raises LedgerError."""
        return await self._call(lambda connection: keys.records(connection, self._now_s()))

    async def month(self) -> UsageReport:
        """Usage since the beginning of the month. Raises LedgerError."""
        return await self._call(lambda connection: reports.month(connection, self._now_s()))

    async def record_usage(self, lines: bytes) -> int:
        """Returns when they are on disk. Raises LedgerError."""
        return await self._call(
            lambda connection: usage.record_usage(connection, lines, self._now_s()), MOST_BATCHES
        )

    async def record_counts(self, lines: bytes) -> int:
        """Returns when they are on disk. Raises LedgerError."""
        return await self._call(
            lambda connection: usage.record_counts(connection, lines, self._now_s()), MOST_BATCHES
        )

    async def forget(self) -> int:
        """Some requests that are too old to keep. Raises LedgerError."""
        return await self._call(lambda connection: retention.forget(connection, self._now_s()))

    async def perform(self, act: acts.Act, who: str) -> str:
        """What the operator is to see once. Raises LedgerError."""
        return await self._call(
            lambda connection: desk.perform(connection, act, who, token_bytes, self._now_s())
        )

    async def take_notes(self) -> int:
        """Puts what was done elsewhere into the audit; returns how much. Raises LedgerError."""
        taken = await self._call(self._take_notes)
        notes.forget(taken)
        return len(taken)

    async def answer(self, question: questions.Question) -> desk.Answer:
        """Raises LedgerError."""
        return await self._call(lambda connection: desk.answer(connection, question))

    async def close(self) -> None:
        """After the calls that wait."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    async def _call(self, work: Callable[[Connection], Result], most: int = MOST_WAITING) -> Result:
        if self._waiting >= most:
            raise LedgerUnreachable("the ledger is busy")
        self._waiting += 1
        done = asyncio.get_running_loop().run_in_executor(self._thread, self._run, work)
        done.add_done_callback(self._ended)
        return await asyncio.shield(done)

    def _ended(self, done: "asyncio.Future[Result]") -> None:
        """Also of a call that nobody waits for any more, whose failure is nobody's then."""
        self._waiting -= 1
        if not done.cancelled():
            done.exception()

    # In the thread
    def _run(self, work: Callable[[Connection], Result]) -> Result:
        if time.monotonic() < self._away_until_s:
            raise LedgerUnreachable("the ledger does not answer")
        try:
            with transaction(self._opened()) as connection:
                return work(connection)
        except LedgerUnreachable:
            self._away_until_s = time.monotonic() + COOL_DOWN_S
            raise
        except OSError as error:  # of its folder
            raise LedgerUnreachable(f"the ledger cannot be opened: {error.strerror}") from error

    def _opened(self) -> Engine:
        if self._engine is None:
            engine = open_engine(url_of(self._home))
            try:
                self._prepare(engine)
            except BaseException:
                engine.dispose()  # the next try makes its own
                raise
            self._engine = engine
        return self._engine

    def _prepare(self, engine: Engine) -> None:
        with transaction(engine) as connection:
            migrate(connection)
            tenants.ensure_default(connection, self._now_s())
            takeover.take_over(connection, self._home)
        takeover.put_away(self._home)

    def _take_notes(self, connection: Connection) -> list[notes.Ended]:
        found = notes.ended(self._home)
        for each in found:
            audit.note_once(connection, each.noted.who, each.noted.act)
        return found

    def _now_s(self) -> int:
        return int(self._wall_clock())

    def _close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
