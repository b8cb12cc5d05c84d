"""A Ray cluster of one node on this machine, started and stopped as a whole.

It listens on loopback only, with token authentication on.
"""

import errno
import json
import os
import shutil
import socket
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from cluster.errors import PortInUse, PrerequisiteMissing
from cluster.inherited import without_secrets
from cluster.label import ADDRESS_LABEL
from cluster.ray_session import POLL_S, RaySession

LOOPBACK = "127.0.0.1"
#: Ray takes 127.0.0.1 for "find my address" and then listens on the network; its neighbour it takes
#: as it is.
NODE_ADDRESS = "127.0.0.2"
#: A busy head answers late; one that is silent for longer hangs.
ANSWER_DEADLINE_S = 20.0
#: Requests never pass through Ray's object store; this is its smallest sensible size.
OBJECT_STORE_BYTES = 100 * 1024 * 1024
#: The path of a socket has 107 bytes at most, and Ray adds 68 to the home's.
MAX_HOME_BYTES = 107 - 68


@dataclass(frozen=True, slots=True)
class RayPorts:
    """The fixed ports of a head node; the defaults are Ray's own."""

    gcs: int = 6379
    dashboard: int = 8265
    agent: int = 52365

    @classmethod
    def starting_at(cls, first: int) -> "RayPorts":
        """Three ports in a row, where Ray's own are taken."""
        return cls(first, first + 1, first + 2)


@dataclass(frozen=True, slots=True)
class LocalRay:
    """Where the local cluster keeps its things, and what it offers."""

    home: Path
    slots: int
    ports: RayPorts = RayPorts()

    @classmethod
    def started_in(cls, home: Path) -> "LocalRay | None":
        """The cluster that was started with this home, as far as it was not stopped again."""
        known = RaySession(home).record()
        if known is None or "slots" not in known:
            return None
        return cls(home, known["slots"], RayPorts(**known["ports"]))

    @property
    def session(self) -> RaySession:
        return RaySession(self.home)

    def environment(self) -> dict[str, str]:
        """What a process needs to talk to this cluster, and what its own processes inherit."""
        return {
            "FLOTILLA_HOME": str(self.home),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.home / "ray_token"),
            "RAY_ADDRESS": f"{NODE_ADDRESS}:{self.ports.gcs}",
            "RAY_DASHBOARD_ADDRESS": f"http://{LOOPBACK}:{self.ports.dashboard}",
            "RAY_USAGE_STATS_ENABLED": "0",
        }

    def is_running(self) -> bool:
        """Whether the `ray start` from here still runs."""
        return self.session.is_running()

    def answers(self) -> bool:
        """Whether the running cluster answers; a busy machine is given time."""
        end_s = time.monotonic() + ANSWER_DEADLINE_S
        while not self._answers():
            if time.monotonic() > end_s or not self.is_running():
                return False
            time.sleep(POLL_S)
        return True

    def start(self) -> None:
        """Starts Ray and waits until it answers. Raises ClusterError."""
        if len(os.fsencode(self.home)) > MAX_HOME_BYTES:
            raise PrerequisiteMissing(
                f"the path {self.home} is too long for Ray's sockets: set FLOTILLA_HOME to one of "
                f"{MAX_HOME_BYTES} characters at most"
            )
        require_free_ports(asdict(self.ports))
        details = {"slots": self.slots, "ports": asdict(self.ports)}
        environment = {**without_secrets(os.environ), **self.environment()}
        self.session.start(self._command(), environment, details, self._answers)

    def stop(self) -> None:
        """Ends every process of the cluster. Raises RayFailed when one is left."""
        self.session.stop()
        shutil.rmtree(self.home / "ray", ignore_errors=True)

    def _command(self) -> list[str]:
        ray = Path(sys.executable).with_name("ray")
        return [
            *(str(ray), "start", "--head", "--block", "--disable-usage-stats"),
            *("--node-ip-address", NODE_ADDRESS, "--port", str(self.ports.gcs)),
            *("--dashboard-host", LOOPBACK, "--dashboard-port", str(self.ports.dashboard)),
            *("--dashboard-agent-listen-port", str(self.ports.agent)),
            *("--temp-dir", str(self.home / "ray")),
            *("--resources", json.dumps({"slot": self.slots})),
            *("--labels", f"{ADDRESS_LABEL}={NODE_ADDRESS}"),
            *("--object-store-memory", str(OBJECT_STORE_BYTES)),
            *("--include-log-monitor", "false"),
        ]

    def _answers(self) -> bool:
        url = f"http://{LOOPBACK}:{self.ports.dashboard}/api/gcs_healthz"
        try:
            with urllib.request.urlopen(url, timeout=2) as reply:
                return bool(reply.status == 200)
        except urllib.error.HTTPError as refused:
            return refused.code == 401  # it answers; who may ask is another question
        except OSError:
            return False


def require_free_ports(ports: dict[str, int], host: str = LOOPBACK) -> None:
    """Raises PortInUse naming every port that something else listens on, PrerequisiteMissing where
    nobody may listen.
    """
    taken = [f"{port} ({name})" for name, port in ports.items() if not _is_free(host, port)]
    if taken:
        raise PortInUse(
            f"in use by another program: port {', '.join(taken)}; "
            "stop it (`ss -ltnp` shows who it is), or choose other ports"
        )


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise PrerequisiteMissing(
                f"no program of this user can listen on {host}, port {port}: {error.strerror}"
            ) from error
    return True
