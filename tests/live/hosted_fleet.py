"""A fleet over several hosts of this machine, each with a plain `ray start`."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster.label import ADDRESS_LABEL
from cluster.processes import session_members, signal_all, wait_until_gone
from tests.live.fleet_under_test import COMMAND_DEADLINE_S, FLOTILLA, LiveFleet, wait_for
from tests.live.hosts import Hosts

ASK_DASHBOARD = (
    "import urllib.request, os, sys;"
    "token = open(os.environ['RAY_AUTH_TOKEN_PATH']).read();"
    "url = 'http://127.0.0.1:8265' + sys.argv[1];"
    "ask = urllib.request.Request(url, headers={'Authorization': 'Bearer ' + token});"
    "print(urllib.request.urlopen(ask, timeout=20).read().decode())"
)
COMMON = ("--block", "--disable-usage-stats", "--resources", '{"slot": 2}')
#: What a killed raylet leaves ends within seconds.
GONE_S = 60.0
SMALL = ("--object-store-memory", "100000000", "--include-log-monitor", "false")


class HostedFleet(LiveFleet):
    """The first host is the head; commands run there."""

    def __init__(self, hosts: Hosts, port: int, settings: Mapping[str, str] | None = None) -> None:
        """`settings` of Ray's own, as variables of its processes."""
        super().__init__(port, 0)
        (self.home / "ray_token").write_text("b" * 64)
        self.hosts = hosts
        #: That clients talk to.
        self.host = 1
        self._rays: dict[int, subprocess.Popen[bytes]] = {}
        self._settings = settings or {}

    @property
    def base_url(self) -> str:
        return f"http://{self.hosts.address(self.host)}:{self.port}/v1"

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: v for name, v in os.environ.items() if not name.startswith("RAY_")}
        return inherited | {
            "FLOTILLA_HOME": str(self.home),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.home / "ray_token"),
            "RAY_ADDRESS": f"{self.hosts.address(1)}:6379",
            **self._settings,
        }

    def start_ray(self, number: int) -> None:
        """Makes a host a node, the first one first."""
        head = ["--head", "--port", "6379", "--dashboard-host", "127.0.0.1"]
        head += ["--temp-dir", str(self.home / "ray")]
        here = self.hosts.address(number)
        role = head if number == 1 else ["--address", f"{self.hosts.address(1)}:6379"]
        address = ["--node-ip-address", here, "--labels", f"{ADDRESS_LABEL}={here}"]
        ray = str(Path(sys.executable).with_name("ray"))
        command = [ray, "start", *COMMON, *SMALL, *role, *address]
        log = self.home / f"ray-{number}.log"
        started = self._rays[number] = self.hosts.start(number, command, self.environment, log)

        def is_node() -> bool | None:
            assert started.poll() is None, log.read_text(errors="replace")[-3000:]
            return self._nodes() == len(self._rays) or None

        wait_for(is_node, f"host {number} to be a node", 180)

    def kill(self, number: int) -> None:
        """A host's processes end at once, as if it had lost its power."""
        ray = self._rays.pop(number)
        signal_all(session_members(ray.pid), signal.SIGKILL)
        ray.wait()

    def kill_raylet(self, number: int) -> None:
        """Ray's own daemon of a host; what it started ends by itself."""
        mine = session_members(self._rays[number].pid)
        signal_all([pid for pid in mine if is_raylet(pid)], signal.SIGKILL)

    def forget(self, number: int) -> None:
        """Waits until nothing of a host's Ray runs any more, so that it can be started again."""
        ray = self._rays.pop(number)
        assert wait_until_gone(ray.pid, GONE_S) == []
        ray.wait()

    def flotilla(self, *arguments: str) -> str:
        return self.run(*arguments).stdout

    def owns(self, pid: int) -> bool:
        """Whether a process belongs to this fleet's Ray."""
        return any(pid in session_members(ray.pid) for ray in self._rays.values())

    def ray_daemons(self) -> list[int]:
        """Ray's own processes on all hosts, without the workers that serve."""
        everything = [pid for ray in self._rays.values() for pid in session_members(ray.pid)]
        return [pid for pid in everything if is_daemon(pid)]

    def stop_ray(self) -> list[int]:
        for ray in self._rays.values():
            signal_all(session_members(ray.pid), signal.SIGTERM)
        left = []
        for ray in self._rays.values():
            signal_all(wait_until_gone(ray.pid, 20), signal.SIGKILL)
            left += wait_until_gone(ray.pid, 20)
            ray.wait()
        return left

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs `flotilla ...` on the head."""
        command = [*FLOTILLA, *arguments]
        done = self.hosts.ran(1, command, self.environment, COMMAND_DEADLINE_S)
        assert not check or done.returncode == 0, done.stderr[-3000:]
        return done

    def dashboard(self, path: str) -> dict[str, Any]:
        command = [sys.executable, "-c", ASK_DASHBOARD, path]
        return dict(json.loads(self.hosts.run(1, command, self.environment, 60)))

    def _nodes(self) -> int:
        """Those that live."""
        try:
            nodes = self.dashboard("/nodes?view=summary")["data"]["summary"]
        except AssertionError:
            return 0
        return sum(node["raylet"].get("state") == "ALIVE" for node in nodes)


@contextmanager
def hosted_fleet(
    hosts: Hosts, port: int, settings: Mapping[str, str] | None = None
) -> Iterator[HostedFleet]:
    """Each host is a node; nothing of it is left afterwards."""
    fleet = HostedFleet(hosts, port, settings)
    try:
        for number in hosts.numbers:
            fleet.start_ray(number)
        yield fleet
    finally:
        left = fleet.stop_ray()
        shutil.rmtree(fleet.home)
    assert left == []


def is_daemon(pid: int) -> bool:
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    return is_raylet(pid) or b"gcs_server" in command or b"ray\0start" in command


def is_raylet(pid: int) -> bool:
    return b"/raylet/raylet" in Path(f"/proc/{pid}/cmdline").read_bytes()
