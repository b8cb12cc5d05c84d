"""Cleans up what a replica's process leaves when it dies, however it dies. Standard library only:
run as a script.

Rules
1. The process that starts vLLM leads a process group of its own; every engine and worker process is
   born into it.
2. The warden is no child of that process (Ray kills children) and no member of the group; it holds
   one end of a line whose only other end is in the leader. End of file means: the leader is gone.
3. Then the whole group is killed, and the folder of its sockets and the shared-memory segments that
   it had mapped are removed. vLLM leaves its sockets behind when it is killed: each group has a
   folder of its own for them, closed to other users.
   Segments are noted while the group lives, since a dead process has no maps to read: now and then,
   and whenever the leader asks for it. They are known by inode; a semaphore is mapped under another
   name.
4. The warden never outlives its work: after end of file it ends within `KILL_DEADLINE_S`. A service
   manager that asks every process of the node to end asks it too: it has its work first.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHARED_MEMORY = "/dev/shm/"  # noqa: S108 - looked into, no temporary file is made there
#: Prefixes of the segments vLLM and `multiprocessing` make; nothing else in /dev/shm is touched.
SEGMENT_PREFIXES = ("psm_", "vllm_", "sem.mp-")
#: Short: a socket's whole path may have 107 characters, and vLLM's names have 36.
FOLDER_PREFIX = "flotilla-"
#: Segments are made while an engine starts, so looking becomes rarer with age.
FIRST_LOOK_S, LAST_LOOK_S = 1.0, 15.0
KILL_DEADLINE_S = 20.0
#: It reads /proc, which takes milliseconds.
LOOK_DEADLINE_S = 10.0


class Warden:
    """The leader's line to its warden; it closes when the leader's process ends, never before."""

    def __init__(self, line: socket.socket, folder: str) -> None:
        self._line = line
        #: For the group's sockets; it goes with the group.
        self.folder = folder

    def look(self) -> None:
        """Returns when the warden has noted the segments that exist now. Raises OSError."""
        self._line.sendall(b"l")
        self._line.recv(1)


def guard_this_process() -> Warden:
    """Makes this process the leader of a group of its own and starts the group's warden."""
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    folder = tempfile.mkdtemp(prefix=FOLDER_PREFIX)
    ours, its = socket.socketpair()
    ours.settimeout(LOOK_DEADLINE_S)
    subprocess.run(  # noqa: S603 - our own interpreter and file
        [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(its.fileno()), folder],
        pass_fds=(its.fileno(),),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    its.close()
    os.dup(ours.fileno())  # open until this process ends, whatever becomes of the object
    return Warden(ours, folder)


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


def segments(pids: list[int]) -> set[int]:
    """Inodes of the shared-memory files that these processes have mapped."""
    found = set()
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if SHARED_MEMORY in line:
                found.add(int(line.split()[4]))
    return found


def watch(group: int, line: socket.socket) -> set[int]:
    """Waits for the leader's end; answers with every segment seen until then."""
    seen: set[int] = set()
    pause_s = FIRST_LOOK_S
    while True:
        line.settimeout(pause_s)
        try:
            asked = line.recv(1)
        except TimeoutError:
            asked = b""
        else:
            if not asked:
                return seen
        seen |= segments(members(group))
        with contextlib.suppress(BrokenPipeError):
            line.sendall(asked)
        pause_s = min(pause_s * 1.5, LAST_LOOK_S)


def clean_up(group: int, seen: set[int], folder: str) -> None:
    """Kills what is left of the group, then removes its segments and its folder."""
    seen = seen | segments(members(group))
    deadline = time.monotonic() + KILL_DEADLINE_S
    while members(group) and time.monotonic() < deadline:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    for path in named_segments(seen):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def named_segments(inodes: set[int]) -> list[Path]:
    """The files of vLLM's kind that still have a name, out of these inodes."""
    found = []
    for path in Path(SHARED_MEMORY).iterdir():
        try:
            inode = path.stat().st_ino
        except OSError:
            continue
        if inode in inodes and path.name.startswith(SEGMENT_PREFIXES):
            found.append(path)
    return found


def main() -> None:
    """`warden.py GROUP LINE FOLDER`: detaches, watches, cleans up."""
    group, line = int(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork():
        os._exit(0)  # the starter waits for this one only; the warden itself is adopted by init
    os.setsid()
    clean_up(group, watch(group, line), sys.argv[3])


if __name__ == "__main__":
    main()
