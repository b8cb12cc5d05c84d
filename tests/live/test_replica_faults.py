"""Faults of real engines, one of two replicas at a time: the other one serves. Each costs the start
of an engine, so these are for the heavier tests.
"""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.aftermath import Fault
from tests.live.conftest import DEMO
from tests.live.fleet_under_test import MODEL, LiveFleet, wait_for
from tests.live.onlooker import COMPLETE, Call

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
