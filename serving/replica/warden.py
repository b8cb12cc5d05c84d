"""Cleans up what a replica's process leaves when it dies, however it dies. Standard library only: run as a script.

Rules
1. The process that starts vLLM leads a process group of its own; every engine and worker process is born into it.
2. The warden is no child of that process (Ray kills children) and no member of the group; it holds the
   read end of a pipe whose only write end is in the leader. End of file means: the leader is gone.
3. Then the whole group is killed and the shared-memory segments that it had mapped are removed.
   Segments are noted while the group lives, since a dead process has no maps to read.
4. The warden never outlives its work: after end of file it ends within `KILL_DEADLINE_S`.
"""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

#: Prefixes of the segments vLLM and `multiprocessing` make; nothing else in /dev/shm is touched.
SEGMENT_PREFIXES = ("psm_", "vllm_", "sem.mp-")
#: Segments are made while an engine starts, so looking becomes rarer with age.
FIRST_LOOK_S, LAST_LOOK_S = 1.0, 60.0
KILL_DEADLINE_S = 20.0


def guard_this_process() -> None:
    """Makes this process the leader of a group of its own and starts the group's warden."""
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    read_end, _write_end = os.pipe()  # the write end stays open for as long as this process lives
    subprocess.run(  # noqa: S603 - our own interpreter and file
        [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(read_end)],
        pass_fds=(read_end,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    os.close(read_end)


def members(group: int) -> list[int]:
    """Processes of the group that still run; a zombie holds nothing and is left to its parent."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, _parent, of_group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(of_group) == group and state != "Z":
            found.append(int(entry.name))
    return found


def segments(pids: list[int]) -> set[str]:
    """Shared-memory files of vLLM that these processes have mapped."""
    found = set()
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            name = line.partition("/dev/shm/")[2]  # noqa: S108 - a look-up, not a temporary file
            if name.startswith(SEGMENT_PREFIXES):
                found.add(name.removesuffix(" (deleted)"))
    return found


def watch(group: int, pipe: int) -> set[str]:
    """Waits for the leader's end; answers with every segment seen until then."""
    seen: set[str] = set()
    pause_s = FIRST_LOOK_S
    while not select.select([pipe], [], [], pause_s)[0]:
        seen |= segments(members(group))
        pause_s = min(pause_s * 1.5, LAST_LOOK_S)
    return seen


def clean_up(group: int, seen: set[str]) -> None:
    """Kills what is left of the group, then removes its segments."""
    seen = seen | segments(members(group))
    deadline = time.monotonic() + KILL_DEADLINE_S
    while members(group) and time.monotonic() < deadline:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    for name in seen:
        Path("/dev/shm", name).unlink(missing_ok=True)  # noqa: S108


def main() -> None:
    """`warden.py GROUP PIPE`: detaches, watches, cleans up."""
    group, pipe = int(sys.argv[1]), int(sys.argv[2])
    if os.fork():
        os._exit(0)  # the starter waits for this one only; the warden itself is adopted by init
    os.setsid()
    clean_up(group, watch(group, pipe))


if __name__ == "__main__":
    main()
