import os
import sys
from pathlib import Path

import pytest

from ops.bench import proc
from ops.bench.child import running
from ops.bench.errors import DidNotStart

#: Starts a child of its own in another session, as Ray does, and waits.
PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print("started", flush=True)
time.sleep(60)
"""


def test_nothing_that_was_started_outlives_its_block(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    log = tmp_path / "log"

    with running((sys.executable, "-c", PARENT), env={}, core=core, log=log) as child:
        child.wait_until(lambda: b"started" in log.read_bytes(), 30)
        assert len(child.family()) == 2
        assert os.sched_getaffinity(child.process.pid) == {core}

    assert proc.family(child.mark, child.process.pid) == ()


def test_a_child_that_ends_at_once_is_quoted(tmp_path: Path) -> None:
    argv = (sys.executable, "-c", "raise SystemExit('no such flag')")
    core = min(os.sched_getaffinity(0))

    with (
        running(argv, env={}, core=core, log=tmp_path / "log") as child,
        pytest.raises(DidNotStart, match="ended with 1: no such flag"),
    ):
        child.wait_until(lambda: False, 30)
