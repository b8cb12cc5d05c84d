"""Ray on the machine that this runs on, as one machine of an inventory.

Rules
1. Starting twice is starting once: whoever comes second waits for the first and finds Ray running.
2. A Ray that runs is left alone, also when the inventory has changed since.
3. Where it stops, nothing of it is left.
4. A worker that cannot reach the head says so, and why, before anything is started.
"""

import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from cluster.errors import PrerequisiteMissing, RayFailed
from cluster.inherited import without_secrets
from cluster.inventory import Inventory, Machine, Node
from cluster.ray_session import CLIENT, NODES, RaySession
from cluster.ray_start import (
    GCS_PORT,
    Place,
    machine_at,
    ray_environment,
    start_command,
    start_environment,
)

#: `ray start --block` says so when this machine has joined.
STARTED = "Ray runtime started"
#: Ray's own, on loopback too.
CLIENT_SERVER_PORT = 10001
CONNECT_DEADLINE_S = 5.0
START_ATTEMPTS = 3
#: Left by `ray up` in the shell that it starts Ray from.
NOT_INHERITED = ("OMP_NUM_THREADS", "PYTHONWARNINGS")


@dataclass(frozen=True, slots=True)
class NodeRay:
    """One machine's Ray."""

    inventory: Inventory
    machine: Machine
    place: Place

    @classmethod
    def here(cls, inventory: Inventory, home: Path) -> "NodeRay":
        """The machine of the inventory that this is. Raises PrerequisiteMissing."""
        if inventory.head_machine() is None:
            raise PrerequisiteMissing(f"the inventory {inventory.name} names no `head`: add it")
        found = machine_at(inventory, _addresses())
        if found is None:
            raise PrerequisiteMissing(
                f"this machine has none of the addresses of {inventory.name}: "
                "`ip -br address` shows which it has"
            )
        machine, interface = found
        ray = str(Path(sys.executable).with_name("ray"))
        return cls(inventory, machine, Place(ray, str(home), interface))

    @property
    def session(self) -> RaySession:
        """In a folder of the machine's name: homes may be on a file system that nodes share."""
        return RaySession(Path(self.place.home) / NODES / self.machine.name)

    def roots(self) -> tuple[str, ...]:
        """Where this machine finds weights."""
        if isinstance(self.machine, Node):
            return self.inventory.storage_of(self.machine).roots()
        return ()

    def start(self, autoscaling_config: str = "") -> bool:
        """Starts Ray and waits until it answers; False when it ran already. Raises ClusterError."""
        self.session.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            if self.session.is_running():
                return False
            self._require_head()
            self.session.stop()  # what a crash has left would hold ports and memory
            self._start(self.command(autoscaling_config))
        return True

    def _require_head(self) -> None:
        """Raises RayFailed: Ray itself would try for minutes, and not say what is in the way."""
        head = self.inventory.head_machine()
        if head is not None and not self._is_head:
            require_answer(head.address, GCS_PORT)

    def _start(self, command: list[str]) -> None:
        """Again, when parts of Ray were too slow for limits that Ray has fixed: it ends then."""
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                self.session.start(command, self.environment(), self._details(), self._answers)
            except RayFailed:
                if attempt == START_ATTEMPTS:
                    raise
            else:
                return

    def become(self, autoscaling_config: str = "") -> None:
        """Turns this process into Ray, in the foreground: how a service manager wants it."""
        if self.session.is_running():
            raise RayFailed(
                f"Ray runs on {self.machine.name} already: `flotilla ray stop` it first"
            )
        self.session.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(PermissionError):
            os.setsid()
        self.session.note(os.getpid(), self._details())
        command = self.command(autoscaling_config)
        os.execve(command[0], command, self.environment())  # noqa: S606

    def stop(self) -> bool:
        """Ends Ray here; False when none ran. Raises RayFailed."""
        if not self.session.home.exists():
            return False
        with self._alone():
            ran = self.session.is_running()
            self.session.stop()
        return ran

    def command(self, autoscaling_config: str) -> list[str]:
        return start_command(self.inventory, self.machine, self.place, autoscaling_config)

    def environment(self) -> dict[str, str]:
        """The same, whoever starts it."""
        own = without_secrets(os.environ)
        kept = {name: value for name, value in own.items() if name not in NOT_INHERITED}
        return {**kept, **start_environment(self.inventory, self.machine, self.place)}

    def _details(self) -> dict[str, Any]:
        """On the head, what other commands there need to talk to the cluster."""
        client = ray_environment(self.inventory, self.place.home) if self._is_head else {}
        return {"inventory": self.inventory.name, CLIENT: client}

    @property
    def _is_head(self) -> bool:
        head = self.inventory.head_machine()
        return head is not None and head.name == self.machine.name

    def _answers(self) -> bool:
        """A head's client server comes last, and takes the rest along when it does not come."""
        with suppress(OSError):
            has_started = STARTED in self.session.log.read_text(errors="replace")
            return has_started and (not self._is_head or _listens(CLIENT_SERVER_PORT))
        return False

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The kernel lets go when the process dies."""
        with (self.session.home / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def require_answer(head: str, port: int) -> None:
    """Raises RayFailed where nobody on the head answers."""
    try:
        socket.create_connection((head, port), CONNECT_DEADLINE_S).close()
    except TimeoutError:
        raise RayFailed(
            f"the head, {head}, does not answer on port {port}: is it up? "
            "A fence lets a new machine in with `flotilla up INVENTORY`"
        ) from None
    except OSError as error:
        raise RayFailed(f"no Ray on the head, {head}:{port}: {error.strerror}") from None


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), CONNECT_DEADLINE_S):
        return True
    return False


def _addresses() -> dict[str, str]:
    """Interfaces by address."""
    return {
        entry.address: name
        for name, entries in psutil.net_if_addrs().items()
        for entry in entries
        if entry.family == socket.AF_INET
    }
