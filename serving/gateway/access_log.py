"""One line for each request that a gateway answered, in files of this node.

Rules
- No prompt, no answer, no key, no address, no path of a caller's own: whose key it was is said by
  its id, what was asked for by the route.
- Writing costs the path of a request one small object. Lines are encoded and written by a thread,
  twice a second.
- Nothing waits for the disk. At most `MOST_LINES` wait; what comes beyond, and what the disk does
  not take, is dropped and counted.
- The folder has a bound: the oldest files go, whichever gateway wrote them.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import msgspec

from serving.gateway.answers import reason_word, route_word, status_of
from serving.gateway.bill import Bill
from serving.gateway.config import LogForm
from serving.gateway.exchange import Exchange

#: Half a second of 20,000 requests a second; about 5 MiB.
MOST_LINES = 10_000
FLUSH_S = 0.5
#: Of one file, about 150,000 lines.
FILE_BYTES = 64 * 1024**2
#: Of all files in the folder.
FOLDER_BYTES = 512 * 1024**2
PATTERN = "access.*.log"

_encode = msgspec.json.Encoder().encode
_log = logging.getLogger(__name__)


class Line(msgspec.Struct, omit_defaults=True):
    """A request, as it is logged; what does not apply is left out."""

    #: Wall clock, seconds, when it ended; written as a time in UTC.
    time: float | str
    #: Ours: the ledger and the engine know it by this.
    request_id: str
    route: str
    status: int
    #: The caller's own, which its answer carries.
    client_request_id: str = ""
    #: Why it is an error.
    reason: str = ""
    key: str = ""
    tenant: str = ""
    model: str = ""
    #: Where another model answered.
    answered: str = ""
    replica: str = ""
    outcome: str = ""
    attempts: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    first_token_s: float = 0.0
    duration_s: float = 0.0


class AccessLog:
    """Of one gateway, on its event loop; files are its thread's."""

    def __init__(self, folder: Path, name: str, wall_clock: Callable[[], float]) -> None:
        self._folder = folder
        self._name = name
        self._wall_clock = wall_clock
        self.form: LogForm = "json"
        #: Lines that nobody will read.
        self.dropped = 0
        self._lines: list[Line] = []
        self._file: BinaryIO | None = None
        self._files = 0
        self._is_silent = False

    def add(self, exchange: Exchange, bill: Bill | None) -> None:
        """Takes a request that has ended."""
        if len(self._lines) >= MOST_LINES:
            self.dropped += 1
        else:
            self._lines.append(_line(exchange, bill, self._wall_clock()))

    async def run(self) -> None:
        """Never returns."""
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            self.dropped += await asyncio.to_thread(self._write, lines)

    async def close(self) -> None:
        """Writes what there is."""
        await self.flush()
        if self._file is not None:
            await asyncio.to_thread(self._file.close)

    # The thread's side
    def _write(self, lines: list[Line]) -> int:
        """How many were not written."""
        encode = _as_json if self.form == "json" else _as_text
        try:
            self._room().write(b"".join(encode(line) for line in lines))
        except OSError as error:
            self._complain(error)
            return len(lines)
        self._is_silent = False
        return 0

    def _room(self) -> BinaryIO:
        """The file to write to, a new one when the last is full. Raises OSError."""
        if self._file is not None and self._file.tell() >= FILE_BYTES:
            self._file.close()
            self._file = None
        if self._file is None:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            # Unbuffered: what is written is in the file, also when the gateway is killed.
            path = self._folder / f"access.{self._name}.{self._files}.log"
            self._file = path.open("ab", buffering=0)
            self._files += 1
            _prune(self._folder, keep=path)
        return self._file

    def _complain(self, error: OSError) -> None:
        """Once, until it can be written again."""
        if not self._is_silent:
            _log.warning("no access log in %s: %s", self._folder, error.strerror)
            self._is_silent = True


def _line(exchange: Exchange, bill: Bill | None, now_s: float) -> Line:
    route, status = route_word(exchange.head.kind), status_of(exchange)
    reason = "" if exchange.refusal is None else reason_word(exchange.refusal)
    theirs = exchange.client_id
    record = None if bill is None else bill.record
    if bill is None or record is None:
        own, tenant = exchange.key_id, exchange.tenant
        return Line(now_s, exchange.id, route, status, theirs, reason, own, tenant)
    is_other = record.model_answered != record.model_asked
    return Line(
        now_s,
        exchange.id,
        route,
        status,
        theirs,
        reason,
        record.key_id,
        record.tenant,
        record.model_asked,
        record.model_answered if is_other else "",
        record.replica_id,
        record.outcome,
        record.attempts,
        record.prompt_tokens,
        record.cached_tokens,
        record.completion_tokens,
        bill.first_token_s or 0.0,
        record.duration_s,
    )


def _as_json(line: Line) -> bytes:
    second, millisecond = divmod(int(float(line.time) * 1000), 1000)
    line.time = f"{_second(second)}.{millisecond:03d}Z"
    line.first_token_s = round(line.first_token_s, 4)
    line.duration_s = round(line.duration_s, 4)
    return _encode(line) + b"\n"


def _as_text(line: Line) -> bytes:
    """Columns for people."""
    return ("  ".join(_columns(line)) + "\n").encode()


def _columns(line: Line) -> Iterator[str]:
    second, millisecond = divmod(int(float(line.time) * 1000), 1000)
    yield f"{_second(second)[11:]}.{millisecond:03d}"
    yield f"{line.status} {line.route:<10} {line.duration_s:8.3f} s"
    if line.model:
        yield f"{line.model} -> {line.answered}" if line.answered else line.model
        cached = f" ({line.cached_tokens} cached)" if line.cached_tokens else ""
        yield f"{line.prompt_tokens}{cached} + {line.completion_tokens} tokens"
        yield line.replica
    yield from (each for each in (line.reason, line.tenant or line.key, line.request_id) if each)


@lru_cache(maxsize=8)
def _second(time_s: int) -> str:
    """In UTC: thousands of lines have the same."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _prune(folder: Path, keep: Path) -> None:
    """Takes away the oldest until the folder is within its bound, with room for a whole file."""
    paths = sorted(folder.glob(PATTERN), key=_modified_s)
    used = sum(_size_bytes(path) for path in paths) + FILE_BYTES
    for path in paths:
        if used <= FOLDER_BYTES or path == keep:
            return
        used -= _size_bytes(path)
        path.unlink(missing_ok=True)


def _modified_s(path: Path) -> float:
    with contextlib.suppress(FileNotFoundError):  # the other gateway took it away
        return path.stat().st_mtime
    return 0.0


def _size_bytes(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0
