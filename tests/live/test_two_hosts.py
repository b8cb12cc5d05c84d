"""One engine over two hosts: TP=2 x PP=2, a stage on each, through gateways on both."""

import json
import signal
from collections.abc import Iterator

import pytest

from cluster.processes import signal_all
from serving.replica.warden import members, named_segments, segments
from tests.live.fleet_under_test import ENGINE, MODEL, LiveFleet, wait_for
from tests.live.hosted_fleet import HostedFleet, hosted_fleet
from tests.live.hosts import NETWORK, Hosts, missing
from tests.live.test_gangs import processes_named

pytestmark = [
    # What tests/hosts and test_gangs show together, more narrowly.
    pytest.mark.heavy,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(bool(missing()), reason=missing() or "has what it needs"),
]

PORT = 18100
GATEWAY = f"gateway: {{host: 0.0.0.0, port: {PORT}}}"
FLEET = f"""\
device: cpu
grace_s: 20
inventory: nodes.yaml
{GATEWAY}
models:
  wide:
    source: {MODEL}
    max_model_len: 8192
    tensor: 2
    pipeline: 2
    stage_placement: spread
    engine: {ENGINE}
"""
#: The second host comes first, so that the plan wants the leader where Ray would not put it.
NODES = f"""\
name: two-hosts
accelerators: {{kind: cpu, count: 2, memory_gib: 2.5}}
nodes:
  - {{name: second, address: {NETWORK}.2}}
  - {{name: first, address: {NETWORK}.1}}
"""


@pytest.fixture(scope="module")
def wide() -> Iterator[HostedFleet]:
    with Hosts(2) as hosts, hosted_fleet(hosts, PORT) as fleet:
        file = fleet.home / "fleet.yaml"
        file.write_text(FLEET)
        (fleet.home / "nodes.yaml").write_text(NODES)
        fleet.flotilla("deploy", str(file))
        fleet.key = fleet.flotilla("keys", "create", "test").strip()
        yield fleet


def test_an_engine_over_two_hosts_says_what_one_process_says(
    fleet: LiveFleet, wide: HostedFleet
) -> None:
    replica = json.loads(wide.flotilla("status", "--json"))["replicas"][0]
    assert replica["stages"] == replica["planned"] == [f"{NETWORK}.2", f"{NETWORK}.1"]
    said = wait_for(lambda: wide.says("wide") or None, "an answer through the first host")
    assert said == fleet.says("demo")
    wide.host = 2
    assert wide.says("wide") == said


def test_when_all_of_ray_is_killed_no_engine_and_no_segment_stays(wide: HostedFleet) -> None:
    replica = json.loads(wide.flotilla("status", "--json"))["replicas"][0]
    followers = processes_named("ray::Follower")
    gangs = [replica["pid"], *(pid for pid in followers if wide.owns(pid))]
    inodes = segments([pid for gang in gangs for pid in members(gang)])
    assert len(gangs) == 2
    assert named_segments(inodes)
    signal_all(wide.ray_daemons(), signal.SIGKILL)
    wait_for(lambda: None if any(map(members, gangs)) else True, "every gang to be gone", 60)
    wait_for(lambda: None if named_segments(inodes) else True, "their segments to be gone", 30)
