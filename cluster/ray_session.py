"""The `ray start` of one home on this machine: started, found again, stopped as a whole.

`ray start --block` leads a session of its own, and ends with the first of Ray's parts; whatever Ray
starts stays in that session, so that stopping it can prove that nothing is left. A record in the
home says which session it is, and no other is taken for it after a reboot or a reused number.
"""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.errors import RayFailed
from cluster.processes import session_members, signal_all, started_ticks, wait_until_gone

START_DEADLINE_S = 120.0
#: Ray drains a node for half a minute where something still runs on it.
STOP_DEADLINE_S = 45.0
POLL_S = 0.2
#: Folders of the machines of an inventory, each with the record of its Ray.
NODES = "nodes"
#: The key of a head's record under which others find how to talk to the cluster.
CLIENT = "client"


@dataclass(frozen=True, slots=True)
class RaySession:
    """Ray as far as it was started from one home."""

    home: Path

    @property
    def log(self) -> Path:
        return self.home / "ray.log"

    def record(self) -> dict[str, Any] | None:
        """What was written down at the start; None when nothing was, or it cannot be read."""
        try:
            return dict(json.loads(self._record.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def is_running(self) -> bool:
        """Whether the `ray start` from here still runs."""
        session = self._session()
        return session is not None and session in session_members(session)

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        details: Mapping[str, Any],
        answers: Callable[[], bool],
    ) -> None:
        """Starts Ray in this environment and no other, writes `details` into the record and waits
        until it answers. Raises RayFailed, and then nothing of it runs.
        """
        with self.log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter's ray
                command,
                env=environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.note(process.pid, details)
        end_s = time.monotonic() + START_DEADLINE_S
        while not answers():
            if process.poll() is not None or time.monotonic() > end_s:
                self.stop()
                raise RayFailed(f"Ray did not start; the end of {self.log}:\n{_tail(self.log)}")
            time.sleep(POLL_S)

    def note(self, session: int, details: Mapping[str, Any]) -> None:
        """Writes down what a later command needs to find this session, and no other, again."""
        known = {"session": session, "started": started_ticks(session), "boot": _boot_id()}
        self._record.write_text(json.dumps({**known, **details}))

    def stop(self) -> None:
        """Ends every process of it. Raises RayFailed when one is left."""
        session = self._session()
        if session is not None:
            signal_all([pid for pid in session_members(session) if pid == session], signal.SIGTERM)
            signal_all(wait_until_gone(session, STOP_DEADLINE_S), signal.SIGKILL)
            left = wait_until_gone(session, STOP_DEADLINE_S)
            if left:
                raise RayFailed(f"these processes would not end: {left}")
        self._record.unlink(missing_ok=True)

    def _session(self) -> int | None:
        """None when the number may be somebody else's by now, after a reboot for example."""
        known = self.record()
        if known is None or not isinstance(known.get("session"), int):
            return None
        session = int(known["session"])
        now = started_ticks(session)
        is_same = now is None or known.get("started", now) == now
        return session if is_same and known.get("boot", _boot_id()) == _boot_id() else None

    @property
    def _record(self) -> Path:
        return self.home / "cluster.json"


def head_environment(home: Path) -> dict[str, str]:
    """What a command needs to talk to the cluster whose head this machine is; nothing where it is
    none's.
    """
    for folder in sorted((home / NODES).glob("*")):
        session = RaySession(folder)
        client = (session.record() or {}).get(CLIENT)
        if client and session.is_running():
            return dict(client)
    return {}


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
