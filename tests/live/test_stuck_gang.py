"""A stage that hangs before it joins costs its replica the start, not the accelerators of the rest.
Starts no engine.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from cluster.processes import session_members, signal_all

ROOT = Path(__file__).parents[2]
#: Ray, Serve and one start, where others use the machine too.
DEADLINE_S = 200.0
#: What the start does besides waiting: it leads a group, makes a warden, starts an actor.
BESIDES_S = 20.0


@pytest.mark.timeout(300)
def test_07_a_follower_that_never_joins_fails_the_start_in_time_and_nothing_of_the_gang_is_left(
    record_property: Callable[[str, object], None],
) -> None:
    with TemporaryDirectory(prefix="gang-", dir="/tmp") as folder:
        found = of_a_stuck_gang(Path(folder))
    assert [what for what, _ in found["started"]] == ["leader", "follower", "took_s"]
    join_s = found["join_s"]
    cause = f"GangFailed: a stage of pair.0 did not join within {join_s:.0f} s"
    assert found["told"].strip().endswith(cause)
    took_s = found["started"][-1][1]
    assert join_s <= took_s < join_s + BESIDES_S
    assert found["left"] == []
    record_property("recovery_s", took_s + found["gone_s"])
    record_property("measured", f"given {join_s:.0f} s to join, the start failed in {took_s:.1f} s")


def of_a_stuck_gang(folder: Path) -> dict[str, Any]:
    """What was found by a process of its own, of which nothing is left."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.live.stuck_gang", str(folder)],
        cwd=ROOT,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said, complaint = process.communicate(timeout=DEADLINE_S)
    finally:
        signal_all(session_members(process.pid), signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=10)
    assert process.returncode == 0, complaint[-3000:]
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def environment(folder: Path) -> dict[str, str]:
    """Of a Ray that knows no other; what is temporary is under `folder`."""
    (folder / "tmp").mkdir()
    (folder / "token").write_text("c" * 64)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return inherited | {
        "PYTHONPATH": str(ROOT),
        "FLOTILLA_HOME": str(folder / "home"),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "TMPDIR": str(folder / "tmp"),
    }
