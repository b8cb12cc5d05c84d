"""Processes of this machine get no more memory: the kernel kills whoever asks for some. Needs root
and a memory controller that may be written to.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
NAME = "flotilla-test"
#: What such a process has it keeps; the next page is one too many.
LIMIT_BYTES = 0


def _limit_file() -> Path | None:
    """Of a group that can be made, by the kernel's second interface or by its first."""
    if (ROOT / "memory").is_dir():
        return ROOT / "memory" / NAME / "memory.limit_in_bytes"
    controllers = ROOT / "cgroup.subtree_control"
    if controllers.exists() and "memory" in controllers.read_text().split():
        return ROOT / NAME / "memory.max"
    return None


def missing() -> str:
    """Why there can be no cage here; empty when there can."""
    if os.geteuid() != 0:
        return "not root: no memory limit can be set"
    found = _limit_file()
    if found is None or not os.access(found.parent.parent, os.W_OK):
        return "no memory controller below /sys/fs/cgroup that may be written to"
    return ""


@contextmanager
def caged(pid: int) -> Iterator[None]:
    """While the block runs this process, with its threads, gets no further memory."""
    limit = _limit_file()
    assert limit is not None
    cage = limit.parent
    cage.mkdir()
    try:
        limit.write_text(str(LIMIT_BYTES))
        (cage / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        # Whoever is left goes back to where it came from.
        for left in (cage / "cgroup.procs").read_text().split():
            (cage.parent / "cgroup.procs").write_text(left)
        cage.rmdir()
