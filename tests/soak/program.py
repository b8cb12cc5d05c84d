"""A process of a soak: started, struck and looked at from outside; and what its own side needs."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak.wire import Handle

ROOT = Path(__file__).parents[2]
#: On a machine that others use as well, importing Ray alone may take this long.
START_S = 90.0
LEAVE_S = 40.0
#: In the forms of Python's log, of Serve's and of Ray's. That its ledger is locked the Controller
#: may say.
_COMPLAINT = re.compile(r"Traceback|^ERROR\b(?!:deployments\.ledger\.bookkeeper)|\tERROR ")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Unruly(Exception):
    """A process did not start, or did not end as it should."""


@dataclass
class Program:
    """`python -m tests.soak.MODULE NAME FOLDER ...`, one at a time under this name."""

    module: str
    name: str
    folder: Path
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Times it was started.
    starts: int = 0
    _process: asyncio.subprocess.Process | None = None
    _handle: Handle | None = None

    @property
    def handle(self) -> Handle:
        if self._handle is None:
            self._handle = Handle(socket_path(self.folder, self.name))
        return self._handle

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def incarnation(self) -> str:
        return f"{self.name}.{self.starts}"

    async def start(self) -> None:
        """Returns when it answers. Raises Unruly."""
        self.starts += 1
        with (self.folder / f"{self.incarnation}.log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", f"tests.soak.{self.module}", self.name, str(self.folder)),
                *self.arguments,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **self.environment},
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        await self._answers()

    async def _answers(self) -> None:
        try:
            async with asyncio.timeout(START_S):
                while not await self._is_ready():  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise Unruly(f"{self.incarnation} was not ready in {START_S:.0f} s") from None

    async def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.returncode is not None:
            raise Unruly(f"{self.incarnation} ended with {self._process.returncode} at its start")
        with contextlib.suppress(OSError):
            return bool(await self.handle.call("is_ready"))
        return False

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def leave(self) -> None:
        """Told to end, it does, with 0. Raises Unruly."""
        assert self._process is not None
        self._process.terminate()
        try:
            async with asyncio.timeout(LEAVE_S):
                code = await self._process.wait()
        except TimeoutError:
            raise Unruly(f"{self.incarnation} did not leave in {LEAVE_S:.0f} s") from None
        if code:
            raise Unruly(f"{self.incarnation} left with {code}")

    def rss_bytes(self) -> int:
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * _PAGE_BYTES

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def complaints(self) -> list[str]:
        """What its logs say that no fault explains."""
        logs = sorted(self.folder.glob(f"{self.name}.*.log"))
        lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
        return [f"{self.name} says: {line[:200]}" for line in lines if _is_complaint(line)]


def _is_complaint(line: str) -> bool:
    return _COMPLAINT.search(line) is not None


def socket_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.sock"


# Its own side
async def told_to_end() -> None:
    """Returns with SIGTERM; ends the process at once when whoever started it is gone."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    loop.add_reader(sys.stdin.fileno(), _orphaned)
    await told.wait()


def _orphaned() -> Any:
    os._exit(1)
