"""A leader that is killed leaves no process of its group and no segment, whatever it started."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.replica.warden import members

LEADER = """
import multiprocessing, socket, sys, time
from multiprocessing import shared_memory
from serving.replica.warden import guard_this_process

def child(name):
    segment = shared_memory.SharedMemory(name=name)
    time.sleep(600)

if __name__ == "__main__":
    warden = guard_this_process()
    context = multiprocessing.get_context("spawn")
    lock = context.Lock()
    segment = shared_memory.SharedMemory(create=True, size=64)
    process = context.Process(target=child, args=(segment.name,))
    process.start()
    named = socket.socket(socket.AF_UNIX)
    named.bind(f"{warden.folder}/socket")
    warden.look()
    print(segment.name, lock._semlock.name, process.pid, warden.folder, flush=True)
    sys.stdin.read()
"""


def wait_until(claim: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 20
    while not claim():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def warden_of(leader: int) -> int:
    (found,) = (
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and f"warden.py\0{leader}\0".encode() in command_of(entry)
    )
    return found


def command_of(entry: Path) -> bytes:
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize(
    "victim", ["leader", "child and leader", "leader, after its warden was asked to end"]
)
def test_a_killed_leader_leaves_nothing(tmp_path: Path, victim: str) -> None:
    script = tmp_path / "leader.py"
    script.write_text(LEADER)
    root = str(Path(__file__).parents[3])
    leader = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": root},
        text=True,
    )
    with leader:
        assert leader.stdout is not None
        segment, semaphore, child, folder = leader.stdout.readline().split()
        named = [Path("/dev/shm", segment), Path("/dev/shm", f"sem.{semaphore.lstrip('/')}")]
        named += [Path(folder), Path(folder, "socket")]
        assert all(path.exists() for path in named)
        assert Path(folder).stat().st_mode & 0o077 == 0
        assert leader.pid in members(leader.pid)
        if victim == "child and leader":
            os.kill(int(child), signal.SIGKILL)
        elif victim != "leader":
            os.kill(warden_of(leader.pid), signal.SIGTERM)
        leader.kill()
    wait_until(lambda: not members(leader.pid))
    wait_until(lambda: not any(path.exists() for path in named))


def test_a_leader_that_ends_by_itself_needs_no_kill(tmp_path: Path) -> None:
    code = "from serving.replica.warden import guard_this_process; guard_this_process()"
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": root}, check=True, timeout=60
    )
    assert done.returncode == 0
