"""Tensor and pipeline parallelism for real: the same text in every shape, and a gang that is whole
or gone.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.replica.warden import members, named_segments, segments
from tests.live.aftermath import Fault
from tests.live.conftest import DEMO
from tests.live.fleet_under_test import ENGINE, MODEL, LiveFleet, wait_for

pytestmark = pytest.mark.timeout(1200)

QUESTIONS = (
    "How do I create an API key?",
    "What is a replica?",
    "hello",
    "Who won the world series in 2020?",
)


def shaped(name: str, tensor: int, pipeline: int) -> str:
    return f"""\
  {name}:
    source: {MODEL}
    max_model_len: 8192
    tensor: {tensor}
    pipeline: {pipeline}
    engine: {ENGINE}
"""


@pytest.fixture(scope="module")
def parallel(fleet: LiveFleet) -> Iterator[LiveFleet]:
    """A tensor-parallel and a pipeline-parallel replica beside the demo's."""
    fleet.deploy(DEMO + shaped("tp2", 2, 1) + shaped("pp2", 1, 2))
    yield fleet
    fleet.deploy(DEMO)


def test_greedy_text_is_the_same_in_every_shape(parallel: LiveFleet) -> None:
    plain = [parallel.says("demo", question) for question in QUESTIONS]
    assert [parallel.says("tp2", question) for question in QUESTIONS] == plain
    assert [parallel.says("pp2", question) for question in QUESTIONS] == plain


def test_a_pipeline_has_its_stages_where_its_bundles_are(parallel: LiveFleet) -> None:
    assert len(parallel.replica("pp2.0")["stages"]) == 2
    assert len(parallel.replica("tp2.0")["stages"]) == 1


def test_06_a_killed_worker_of_a_follower_replaces_the_whole_gang_and_nothing_else(
    parallel: LiveFleet, fault: Fault
) -> None:
    before = {name: parallel.replica(name)["pid"] for name in ("demo.0", "tp2.0", "pp2.0")}
    leader = before["pp2.0"]
    worker = next(pid for pid in processes_named("VLLM::Worker_PP1"))
    fault.strikes()
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: None if alive(leader) else True, "the leader to end")
    wait_for(lambda: None if members(leader) else True, "the leader's group to be gone", 20)
    fault.measured("the gang was gone after", fault.since_s, "s")
    assert parallel.says("demo") == parallel.says("tp2")
    after = wait_for(lambda: _other(parallel, "pp2.0", leader), "a new gang", 600)
    assert after != leader
    assert parallel.says("pp2") == parallel.says("demo")
    assert parallel.replica("demo.0")["pid"] == before["demo.0"]
    assert parallel.replica("tp2.0")["pid"] == before["tp2.0"]


def test_01_a_killed_leader_leaves_no_process_and_no_segment(
    parallel: LiveFleet, fault: Fault
) -> None:
    leader = parallel.replica("tp2.0")["pid"]
    inodes = segments(members(leader))
    assert named_segments(inodes)
    fault.strikes()
    os.kill(leader, signal.SIGKILL)
    wait_for(lambda: None if members(leader) else True, "the gang to be gone", 20)
    wait_for(lambda: None if named_segments(inodes) else True, "its segments to be removed", 20)
    wait_for(lambda: _other(parallel, "tp2.0", leader), "a new leader", 600)


def _other(fleet: LiveFleet, application: str, old: int) -> int | None:
    ready = [
        r["pid"]
        for r in fleet.replicas()
        if r["application"] == application and r["state"] == "ready"
    ]
    return ready[0] if ready and ready[0] != old else None


def processes_named(title: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if command.startswith(title.encode()):
                found.append(int(entry.name))
    return found


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/maps").exists() and bool(Path(f"/proc/{pid}/cmdline").read_bytes())
