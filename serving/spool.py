"""Usage records on their way to the ledger: on this node's disk from the moment they are made,
until the ledger has them.

Rules
- A record is in the spool's file before the last byte of its answer leaves, so a killed gateway
  loses none: its successor on the node finds the file.
- A request that a replica has is noted beside them until its record is there, so a killed gateway
  does not take it along unseen.
- A record is never dropped. When the disk takes no more (`SPOOL_BYTES` of the whole folder, or what
  there is) records wait in a bounded buffer in memory; when that is full `is_full` turns true and
  the gateway refuses new work.
- The ledger's word comes first, then a file is removed. What is sent twice is counted once there.
"""

import asyncio
import contextlib
import errno
import logging
import os
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import msgspec

from serving.bounds import SPOOL_BYTES, SPOOL_RECORDS
from serving.spool_claim import Claim
from serving.spool_part import LEAST_PART_BYTES, PART_BYTES, Part, part_path, parts_of
from serving.spool_underway import Underway, noted
from serving.usage import Sent, UsageRecord

#: Until a disk that took nothing is tried again.
FLUSH_S = 0.5
COMPLAINT_PERIOD_S = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole lines of one part."""

    part: Part
    lines: bytes


class Spool:
    """Of one gateway, on its event loop; files are made and removed in a thread."""

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        rotate_bytes: int = PART_BYTES,
        flush_s: float = FLUSH_S,
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._claim = Claim.of_new_spool(folder, name)
        self._rotate_bytes = rotate_bytes
        self._flush_s = flush_s
        self._encode = msgspec.json.Encoder().encode
        #: In their order; the last one is written to.
        self._parts: deque[Part] = deque()
        #: The next part, made before it is needed.
        self._spare: Part | None = None
        #: Records that no part has room for.
        self._buffer: deque[bytes] = deque()
        self._making: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._silent_until_s = 0.0
        self._next = 1 + max((_number(path) for path in self._claim.parts()), default=-1)
        self._spare = self._made()
        self._pour()
        self._underway = self._noting()

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def buffered(self) -> int:
        """Records that wait in memory for a disk that takes them."""
        return len(self._buffer)

    @property
    def unshipped_bytes(self) -> int:
        """Of records on the disk that the ledger does not have."""
        return sum(part.used - part.shipped for part in self._parts)

    @property
    def is_full(self) -> bool:
        return len(self._buffer) >= SPOOL_RECORDS

    def append(self, record: UsageRecord) -> None:
        line = self._encode(record)
        part = self._parts[-1] if self._parts else None
        if part is None or self._buffer or not part.has_room(line):
            self._buffer.append(line)
            self._pour()
            self._make_ready()
            return
        part.append(line)
        if self._spare is None and part.is_half_full:
            self._make_ready()

    def note(self, request: Sent) -> int | None:
        """A replica gets it, and this gateway may be killed meanwhile. Returns what `let_go` takes;
        None where it could not be noted.
        """
        return None if self._underway is None else self._underway.note(request)

    def let_go(self, slot: int | None) -> None:
        """Its record is appended, or it is noted anew."""
        if slot is not None and self._underway is not None:
            self._underway.let_go(slot)

    # On the way to the ledger
    async def unshipped(self) -> Batch | None:
        """The oldest records that the ledger has not acknowledged. Raises OSError."""
        for part in tuple(self._parts):
            if part.is_shipped:
                continue
            lines = await asyncio.to_thread(part.batch) if part.is_sealed else part.batch()
            if lines:
                return Batch(part, lines)
            unshipped_bytes = part.used - part.shipped
            _log.error("%s was removed with %d bytes unshipped", part.path, unshipped_bytes)
            part.shipped = part.used
        return None

    async def acknowledge(self, batch: Batch) -> None:
        """The ledger has them: forgets them, on disk too when it has the whole file. Raises
        OSError.
        """
        batch.part.shipped += len(batch.lines)
        while len(self._parts) > 1 and self._parts[0].is_shipped:
            await asyncio.to_thread(self._parts.popleft().close)

    async def close(self) -> None:
        """Leaves files with what is unshipped; with a dead disk says how much was lost."""
        self._closing.set()
        if self._making is not None:
            await self._making
        underway, self._underway = self._underway, None
        if underway is not None:
            underway.close()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        while self._buffer and (self._spare is not None or self._remake()):
            self._pour()
        if self._buffer:
            _log.error(
                "%d usage records could not be written to %s", len(self._buffer), self._folder
            )
        for part in (*self._parts, *filter(None, [self._spare])):
            with contextlib.suppress(OSError):  # a dead disk; what is readable is shipped as it is
                part.close()
        self._parts.clear()
        self._spare = None
        self._claim.release()

    def _remake(self) -> bool:
        self._spare = self._made()
        return self._spare is not None

    def _noting(self) -> Underway | None:
        """What a namesake had under way when it was killed is recorded first."""
        path = self._claim.underway
        try:
            self._buffer.extend(noted(path).splitlines())
            self._pour()
            path.unlink(missing_ok=True)
            return Underway(path)
        except OSError as error:
            self._complain(error)
            return None

    # Parts
    def _pour(self) -> None:
        """Buffered records into what room there is."""
        while self._buffer or not self._parts:
            if not (self._parts and self._buffer and self._parts[-1].has_room(self._buffer[0])):
                if self._spare is None:
                    return
                if self._parts:
                    self._parts[-1].seal()
                self._parts.append(self._spare)
                self._spare = None
            if self._buffer:
                self._parts[-1].append(self._buffer.popleft())

    def _make_ready(self) -> None:
        if self._making is None:
            self._making = asyncio.get_running_loop().create_task(self._make())

    async def _make(self) -> None:
        """Runs until there is a spare part and nothing in the buffer."""
        try:
            while (self._spare is None or self._buffer) and not self._closing.is_set():
                self._spare = self._spare or await asyncio.to_thread(self._made)
                if self._spare is None:
                    await self._pause()
                self._pour()
        finally:
            self._making = None

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._flush_s):
                await self._closing.wait()
        except TimeoutError:
            return

    def _made(self) -> Part | None:
        """A new part, a small one where the disk has no room for more, or None."""
        try:
            return self._new_part(self._rotate_bytes)
        except OSError:
            try:
                return self._new_part(min(LEAST_PART_BYTES, self._rotate_bytes))
            except OSError as error:
                self._complain(error)
                return None

    def _new_part(self, size_bytes: int) -> Part:
        if _folder_bytes(self._folder) + size_bytes > SPOOL_BYTES:
            raise OSError(errno.ENOSPC, f"the spool holds its {SPOOL_BYTES >> 20} MiB")
        part = Part(part_path(self._folder, self._claim.name, self._next), size_bytes)
        self._next += 1
        return part

    def _complain(self, error: OSError) -> None:
        """Says it once in a while: a full disk is met with every try."""
        now_s = time.monotonic()
        if now_s >= self._silent_until_s:
            _log.warning("usage spool %s: %s", self._folder, error.strerror)
            self._silent_until_s = now_s + COMPLAINT_PERIOD_S


def _number(path: Path) -> int:
    return int(path.name.split(".")[-2])


def _folder_bytes(folder: Path) -> int:
    paths = (path for parts in parts_of(folder).values() for path in parts)
    return sum(os.stat(path).st_size for path in paths if path.exists())
