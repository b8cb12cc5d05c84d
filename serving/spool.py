"""Usage records on their way to the ledger: a bounded buffer in memory and JSON lines on disk.

Rules: a record is never dropped. When the disk does not take them the buffer fills, `is_full` turns
true and the gateway refuses new work. A line is whole or absent: what a failed write left behind is
cut off again.
"""

import asyncio
import contextlib
import logging
import os
import time
from pathlib import Path

import msgspec

from serving.bounds import SPOOL_RECORDS
from serving.usage import UsageRecord

FLUSH_S = 0.05
#: Records that are written at once without waiting for the timer; a fifth of what memory may hold.
FLUSH_RECORDS = 2_000
ROTATE_BYTES = 64 * 1024 * 1024
COMPLAINT_PERIOD_S = 10.0

_log = logging.getLogger(__name__)


class Spool:
    """Appends from the event loop; writes in a thread, one write at a time."""

    def __init__(
        self, folder: Path, name: str, *, rotate_bytes: int = ROTATE_BYTES, flush_s: float = FLUSH_S
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._name = name
        self._rotate_bytes = rotate_bytes
        self._flush_s = flush_s
        self._encoder = msgspec.json.Encoder()
        self._buffer: list[UsageRecord] = []
        self._writing: list[UsageRecord] = []
        self._task: asyncio.Task[None] | None = None
        self._urgent = asyncio.Event()
        self._closing = False
        self._silent_until_s = 0.0
        self._part = 0
        self._file, self._bytes = self._open()

    @property
    def path(self) -> Path:
        return self._folder / f"{self._name}.{self._part}.jsonl"

    @property
    def is_full(self) -> bool:
        return len(self._buffer) + len(self._writing) >= SPOOL_RECORDS

    def append(self, record: UsageRecord) -> None:
        self._buffer.append(record)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._drain())
        elif len(self._buffer) == FLUSH_RECORDS:
            self._urgent.set()

    async def close(self) -> None:
        """Writes what is left; with a dead disk says how much was lost."""
        self._closing = True
        self._urgent.set()
        if self._task is not None:
            await self._task
        await self._flush()
        if self._buffer:
            _log.error("%d usage records could not be written to %s", len(self._buffer), self.path)
        os.close(self._file)

    async def _drain(self) -> None:
        """Runs while there is something to write, so that an idle gateway has no timer."""
        try:
            while self._buffer and not self._closing:
                await self._gather()
                await self._flush()
        finally:
            self._task = None

    async def _gather(self) -> None:
        self._urgent.clear()
        try:
            async with asyncio.timeout(self._flush_s):
                await self._urgent.wait()
        except TimeoutError:
            return

    async def _flush(self) -> None:
        if not self._buffer:
            return
        self._writing, self._buffer = self._buffer, []
        is_written = False
        try:
            lines = self._encoder.encode_lines(self._writing)
            is_written = await asyncio.to_thread(self._written, lines)
        finally:
            if not is_written:
                self._buffer = self._writing + self._buffer
            self._writing = []

    def _written(self, lines: bytes) -> bool:
        try:
            self._write(lines)
        except OSError as error:
            self._complain(error)
            with contextlib.suppress(OSError):  # a disk that is gone; the next try begins anew
                os.ftruncate(self._file, self._bytes)
            return False
        return True

    def _complain(self, error: OSError) -> None:
        """Says it once in a while: a full disk is met with every flush."""
        now_s = time.monotonic()
        if now_s >= self._silent_until_s:
            _log.warning("usage spool %s: %s", self.path, error.strerror)
            self._silent_until_s = now_s + COMPLAINT_PERIOD_S

    def _write(self, lines: bytes) -> None:
        view = memoryview(lines)
        while view:
            view = view[os.write(self._file, view) :]
        self._bytes += len(lines)
        if self._bytes >= self._rotate_bytes:
            self._rotate()

    def _rotate(self) -> None:
        """Opens the next part first: if that fails the old one goes on."""
        part, self._part = self._part, self._part + 1
        try:
            file, size = self._open()
        except OSError as error:
            self._part = part
            self._complain(error)
            return
        os.close(self._file)
        self._file, self._bytes = file, size

    def _open(self) -> tuple[int, int]:
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return handle, os.fstat(handle).st_size
