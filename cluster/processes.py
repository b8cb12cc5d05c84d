"""Processes of one session on this machine, read from /proc: what `flotilla down` must leave none
of.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

POLL_S = 0.1


def session_members(session: int) -> list[int]:
    """Running processes of the session; zombies hold nothing and do not count."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        state, of_session = fields[0], int(fields[3])
        if of_session == session and state != "Z":
            found.append(int(entry.name))
    return found


def started_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None when there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return None


def wait_until_gone(session: int, deadline_s: float) -> list[int]:
    """Waits for the session to empty; answers with what is left at the deadline."""
    end_s = time.monotonic() + deadline_s
    while (left := session_members(session)) and time.monotonic() < end_s:
        time.sleep(POLL_S)
    return left


def signal_all(pids: list[int], number: signal.Signals) -> None:
    """Signals each process that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
