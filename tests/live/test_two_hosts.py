"""One engine over two hosts: TP=2 x PP=2, a stage on each, through gateways on both."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.label import ADDRESS_LABEL
from cluster.processes import session_members, signal_all, wait_until_gone
from serving.replica.warden import members, named_segments, segments
from tests.live.fleet_under_test import (
    COMMAND_DEADLINE_S,
    ENGINE,
    FLOTILLA,
    MODEL,
    LiveFleet,
    wait_for,
)
from tests.live.hosts import NETWORK, Hosts, missing
from tests.live.test_gangs import processes_named

pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.skipif(bool(missing()), reason=missing() or "has what it needs"),
]

PORT = 18100
GATEWAY = f"gateway: {{host: 0.0.0.0, port: {PORT}, replicas: 4}}"
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


class HostedFleet(LiveFleet):
    """A fleet over two hosts, started by plain `ray start` on each."""

    def __init__(self, hosts: Hosts) -> None:
        super().__init__(PORT, 0)
        self.hosts = hosts
        self._rays: list[subprocess.Popen[bytes]] = []
        self.host = 1

    @property
    def base_url(self) -> str:
        return f"http://{self.hosts.address(self.host)}:{PORT}/v1"

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: v for name, v in os.environ.items() if not name.startswith("RAY_")}
        return inherited | {
            "FLOTILLA_HOME": str(self.home),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.home / "ray_token"),
            "RAY_ADDRESS": f"{self.hosts.address(1)}:6379",
        }

    def start_ray(self) -> None:
        (self.home / "ray_token").write_text("b" * 64)
        ray = str(Path(sys.executable).with_name("ray"))
        common = [ray, "start", "--block", "--disable-usage-stats", "--resources", '{"slot": 2}']
        small = ["--object-store-memory", "100000000", "--include-log-monitor", "false"]
        head = ["--head", "--port", "6379", "--dashboard-host", "127.0.0.1"]
        roots = ["--temp-dir", str(self.home / "ray")]
        for number, role in (
            (1, head + roots),
            (2, ["--address", f"{self.hosts.address(1)}:6379"]),
        ):
            here = self.hosts.address(number)
            address = ["--node-ip-address", here, "--labels", f"{ADDRESS_LABEL}={here}"]
            command = [*common, *small, *role, *address]
            self._rays.append(self.hosts.start(number, command, self.environment))
            wait_for(lambda: self._nodes() == len(self._rays) or None, "Ray on each host", 180)

    def _nodes(self) -> int:
        try:
            printed = self.hosts.run(1, [sys.executable, "-c", COUNT_NODES], self.environment, 60)
        except AssertionError:
            return 0
        return int(printed.split()[-1])

    def flotilla(self, *arguments: str) -> str:
        return self.hosts.run(1, [*FLOTILLA, *arguments], self.environment, COMMAND_DEADLINE_S)

    def owns(self, pid: int) -> bool:
        """Whether a process belongs to this fleet's Ray."""
        return any(pid in session_members(ray.pid) for ray in self._rays)

    def ray_daemons(self) -> list[int]:
        """Ray's own processes on both hosts, without the workers that serve."""
        everything = [pid for ray in self._rays for pid in session_members(ray.pid)]
        return [pid for pid in everything if is_daemon(pid)]

    def stop_ray(self) -> list[int]:
        for ray in self._rays:
            signal_all(session_members(ray.pid), signal.SIGTERM)
        left = []
        for ray in self._rays:
            signal_all(wait_until_gone(ray.pid, 20), signal.SIGKILL)
            left += wait_until_gone(ray.pid, 20)
            ray.wait()
        return left


def is_daemon(pid: int) -> bool:
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    return b"/raylet/raylet" in command or b"gcs_server" in command or b"ray\0start" in command


COUNT_NODES = (
    "import urllib.request, json, os;"
    "token = open(os.environ['RAY_AUTH_TOKEN_PATH']).read();"
    "url = 'http://127.0.0.1:8265/nodes?view=summary';"
    "ask = urllib.request.Request(url, headers={'Authorization': 'Bearer ' + token});"
    "nodes = json.load(urllib.request.urlopen(ask, timeout=20))['data']['summary'];"
    "print(sum(node['raylet'].get('state') == 'ALIVE' for node in nodes))"
)


@pytest.fixture(scope="module")
def wide() -> Iterator[HostedFleet]:
    with Hosts(2) as hosts:
        fleet = HostedFleet(hosts)
        try:
            fleet.start_ray()
            file = fleet.home / "fleet.yaml"
            file.write_text(FLEET)
            (fleet.home / "nodes.yaml").write_text(NODES)
            fleet.flotilla("deploy", str(file))
            fleet.key = fleet.flotilla("keys", "create", "test").strip()
            yield fleet
        finally:
            left = fleet.stop_ray()
            shutil.rmtree(fleet.home)
        assert left == []


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
