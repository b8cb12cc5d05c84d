"""Starts a process on chosen cores and makes sure that nothing of it stays behind."""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ops.bench import proc
from ops.bench.errors import DidNotStart
from ops.leaving import leave

#: The repository: `python -m` finds our modules there.
ROOT = Path(__file__).resolve().parents[2]

_POLL_S = 0.1
#: Ray needs some seconds to take down what it started; after that the rest is killed.
_STOP_S = 20.0
_SWEEPS = 5


def leave_by_exception() -> None:
    """Whoever ends this process does so by an exception, so that what it started is stopped."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)


@dataclass(frozen=True)
class Child:
    process: subprocess.Popen[bytes]
    mark: str
    log: Path

    def family(self) -> tuple[proc.Process, ...]:
        """It and everything it started that still lives."""
        return proc.family(self.mark, self.process.pid)

    def wait_until(self, is_ready: Callable[[], bool], limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while not is_ready():
            if self.process.poll() is not None:
                raise DidNotStart(f"ended with {self.process.returncode}: {self.last_words()}")
            if time.monotonic() > deadline:
                raise DidNotStart(f"not ready after {limit_s:g} s: {self.last_words()}")
            time.sleep(_POLL_S)

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"


@contextmanager
def running(
    argv: tuple[str, ...], *, env: Mapping[str, str], core: int, log: Path
) -> Iterator[Child]:
    """A child on one core, with all it starts; gone when the block is left, however it is left."""
    mark = secrets.token_hex(8)
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own argument lists, no shell
            argv,
            cwd=ROOT,
            env={**os.environ, **env, proc.MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # Before exec, so that runtimes that size themselves by their cores see one.
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    child = Child(process, mark, log)
    try:
        yield child
    finally:
        _stop(child)


def _stop(child: Child) -> None:
    child.process.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.process.wait(_STOP_S)
    for _ in range(_SWEEPS):
        left = child.family()
        if not left:
            break
        for stray in left:
            with suppress(ProcessLookupError):
                os.kill(stray.pid, signal.SIGKILL)
        time.sleep(_POLL_S)
    child.process.wait()
