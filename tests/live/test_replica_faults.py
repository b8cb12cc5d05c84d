"""Faults of real engines, one of two replicas at a time: the other one serves. Each costs the start
of an engine, so these are for the heavier tests.
"""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from serving.replica.past import FOLDER
from serving.replica.warden import members
from tests.live import memory_cage
from tests.live.aftermath import Fault
from tests.live.conftest import DEMO
from tests.live.fleet_under_test import MODEL, LiveFleet, wait_for
from tests.live.onlooker import COMPLETE, Call, question
from tests.live.test_gangs import alive, processes_named

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1200)]

#: 16 blocks of 128 tokens: two full windows.
TWIN = f"""\
  twin:
    source: {MODEL}
    max_model_len: 1024
    replicas: {{min: 2, max: 2}}
    engine: {{dtype: float32, enforce_eager: true, kv_cache_memory_bytes: 8M, max_num_seqs: 16}}
"""
CUT = "200 cut, upstream_error"
#: A death is seen at once: the connection ends with the process.
SEEN_S = 5.0
#: A hang is seen by the watchdog between two tokens, or by Serve's checks, whoever is first.
HANG_S = 60.0
STORM_CALLS, STORM_TOKENS = 10, 700
#: An engine's start on a busy machine.
START_S = 420.0
#: So many replicas that have just become ready die.
SHORT_LIVES = 2
GRAMMAR = {
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "color", "schema": {"enum": ["red", "blue"]}, "strict": True},
    }
}


@pytest.fixture(scope="module")
def pair(fleet: LiveFleet) -> Iterator[LiveFleet]:
    fleet.deploy(DEMO + TWIN)
    yield fleet
    fleet.deploy(DEMO)


def twins(fleet: LiveFleet) -> list[dict[str, Any]]:
    """Both, once they are ready."""
    return [fleet.replica(name) for name in ("twin.0", "twin.1")]


def serving(fleet: LiveFleet, replicas: list[dict[str, Any]]) -> dict[str, Any]:
    """One of them that has a request."""

    def busy() -> dict[str, Any] | None:
        running = (fleet.engine(each["address"], "num_requests_running") for each in replicas)
        return next((each for each, count in zip(replicas, running, strict=True) if count), None)

    return wait_for(busy, "an engine to be busy")


def streaming(fault: Fault, tokens: int) -> Call:
    call = fault.call("twin", tokens)
    call.events(5)
    return call


def part_of(leader: int, title: str) -> int:
    """A process of a gang."""
    return next(pid for pid in members(leader) if pid in processes_named(title))


def ended(leader: int) -> None:
    wait_for(lambda: None if alive(leader) else True, "the leader to end", 30)


def test_01_with_one_of_two_idle_replicas_killed_no_request_fails(
    pair: LiveFleet, fault: Fault
) -> None:
    leader = twins(pair)[0]["pid"]
    fault.strikes()
    os.kill(leader, signal.SIGKILL)
    assert {fault.ask("twin", 1).kind for _ in range(50)} == {COMPLETE}
    fault.measured("50 requests after the kill in", fault.since_s, "s")


def test_03_killed_mid_stream_with_a_real_engine_the_client_is_told(
    pair: LiveFleet, fault: Fault
) -> None:
    both = twins(pair)
    call = streaming(fault, 900)
    leader = serving(pair, both)["pid"]
    fault.strikes()
    os.kill(leader, signal.SIGKILL)
    assert fault.ends(call).kind == CUT
    fault.measured("the client was told after", fault.since_s, "s")
    assert fault.since_s < SEEN_S
    assert fault.ask("twin").kind == COMPLETE


def test_05_an_engine_core_that_dies_takes_its_replica_with_it_at_once(
    pair: LiveFleet, fault: Fault
) -> None:
    both = twins(pair)
    with fault.crowd("twin", 60) as crowd:
        wait_for(lambda: len(crowd.answers) > 4 or None, "first answers")
        leader = serving(pair, both)["pid"]
        fault.strikes()
        os.kill(part_of(leader, "VLLM::EngineCore"), signal.SIGKILL)
        ended(leader)
        fault.measured("the replica had ended after", fault.since_s, "s")
        seen = len(crowd.answers)
        wait_for(lambda: len(crowd.answers) > seen + 8 or None, "more answers")
    assert set(fault.kinds) <= {COMPLETE, CUT}
    # Of four clients two stream.
    assert fault.kinds[CUT] <= 2


@pytest.mark.skipif(bool(memory_cage.missing()), reason=memory_cage.missing() or "can be done")
def test_14_an_only_engine_that_is_killed_for_memory_is_replaced(
    fleet: LiveFleet, fault: Fault
) -> None:
    leader = fleet.replica("demo.0")["pid"]
    call = fault.call("demo", 4000)
    call.events(5)
    fault.strikes()
    with memory_cage.caged(part_of(leader, "VLLM::EngineCore")):
        # What it has is enough for what it does; for a grammar it needs a thread and more.
        hungry = fault.ends(Call(fleet, question("demo", 16, stream=False) | GRAMMAR))
        ended(leader)
    fault.measured("the replica had ended after", fault.since_s, "s")
    assert fault.ends(call).kind == CUT
    assert hungry.kind == "502 upstream_error"


def test_04_a_real_replica_that_hangs_is_left_and_replaced(pair: LiveFleet, fault: Fault) -> None:
    both = twins(pair)
    call = streaming(fault, 900)
    leader = serving(pair, both)["pid"]
    fault.strikes()
    os.kill(leader, signal.SIGSTOP)
    try:
        assert fault.ends(call).kind == CUT
        fault.measured("the client was told after", fault.since_s, "s")
        assert fault.since_s < HANG_S
        assert {fault.ask("twin").kind for _ in range(10)} == {COMPLETE}
        wait_for(lambda: None if alive(leader) else True, "the hung leader to be ended", 120)
        fault.measured("the replica had ended after", fault.since_s, "s")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(leader, signal.SIGCONT)


def test_15_a_full_cache_slows_requests_down_and_fails_none(pair: LiveFleet, fault: Fault) -> None:
    both = twins(pair)

    def preempted() -> float:
        return sum(pair.engine(each["address"], "num_preemptions_total") for each in both)

    before = preempted()
    fault.strikes()
    with ThreadPoolExecutor(STORM_CALLS) as pool:
        list(pool.map(lambda _: fault.ask("twin", STORM_TOKENS), range(STORM_CALLS)))
    assert set(fault.kinds) == {COMPLETE}
    assert preempted() > before
    fault.measured("requests preempted", preempted() - before, f"times, {STORM_CALLS} clients")


def test_09_a_replica_that_dies_whenever_it_is_ready_starts_later_each_time_and_is_named(
    pair: LiveFleet, fault: Fault
) -> None:
    others = {name: pair.replica(name)["pid"] for name in ("demo.0", "twin.0")}
    leader = pair.replica("twin.1")["pid"]
    fault.strikes()
    with fault.crowd("twin", clients=1):
        os.kill(leader, signal.SIGKILL)
        for lives in range(1, SHORT_LIVES + 1):
            leader = successor(pair, "twin.1", leader)
            os.kill(leader, signal.SIGKILL)
            wait_for(lambda n=lives: short_lives(pair) == n or None, "a next life", START_S)  # type: ignore[misc]
        successor(pair, "twin.1", leader)
    assert set(fault.kinds) <= {COMPLETE, CUT}
    assert fault.kinds[CUT] <= SHORT_LIVES + 1
    assert {name: pair.replica(name)["pid"] for name in others} == others
    assert any(note.startswith("twin.1 died ") for note in pair.status()["notes"])
    fault.measured("starts until it lived", SHORT_LIVES + 1, "")


def successor(fleet: LiveFleet, application: str, old: int) -> int:
    """The leader after `old`, as soon as it is ready."""

    def look() -> int | None:
        found = [each for each in fleet.replicas() if each["application"] == application]
        is_new = found and found[0]["state"] == "ready" and found[0]["pid"] != old
        return int(found[0]["pid"]) if is_new else None

    return wait_for(look, f"a new {application}", START_S)


def short_lives(fleet: LiveFleet) -> int:
    """In a row, before the life that `twin.1` has begun."""
    life = json.loads((fleet.home / FOLDER / "twin.1.json").read_text())
    return int(life["short_lives"])
