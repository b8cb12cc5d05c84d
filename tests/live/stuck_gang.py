"""A replica of two stages whose follower never joins, under a Ray and a Serve of its own. Starts no
engine.

python -m tests.live.stuck_gang FOLDER        with TMPDIR=FOLDER/tmp in the environment

FOLDER is short, for Ray has sockets there. Prints a line of JSON: what Serve was told, who was
started, what is left of it while Ray and Serve still run, and how long it had.
"""

import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import ray
from ray import serve

from deployments.render import replica_application
from serving.replica import gang
from serving.replica.deployment import Replica
from serving.replica.follower import Follower
from serving.replica.warden import FOLDER_PREFIX, members
from tests.deployments.fleets import fleet_of

#: In place of the two minutes that a follower has.
JOIN_S = 2.0
#: Serve, Ray and the wardens each end what is theirs within seconds.
GONE_S = 40.0
STARTED = "STARTED"
PAIR = """
device: cpu
models:
  pair:
    source: /nowhere
    max_model_len: 2048
    pipeline: 2
    engine: {kv_cache_memory_bytes: 64M}
"""


class NeverJoins(Follower):
    """Placed and started like any other; does not answer."""

    def address(self) -> str:
        _note("follower", os.getpid())
        threading.Event().wait()
        return super().address()


class Leader(Replica):
    """The real one with less patience."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, args: dict[str, Any]
    ) -> None:
        _note("leader", os.getpid())
        gang.JOIN_DEADLINE_S = JOIN_S
        gang.FollowerActor = ray.remote(NeverJoins)  # type: ignore[attr-defined]
        began_s = time.monotonic()
        try:
            await super().__init__(args)
        finally:
            _note("took_s", time.monotonic() - began_s)


def main(folder: Path) -> None:
    os.environ[STARTED] = str(folder / "started")
    ray.init(
        address="local",
        num_cpus=1,
        resources={"slot": 2},
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100_000_000,
        _temp_dir=str(folder / "ray"),
    )
    serve.start(proxy_location="Disabled")
    told, started = _start(), _started()
    failed_s = time.monotonic()
    while (left := _left(started)) and time.monotonic() - failed_s < GONE_S:
        time.sleep(0.1)
    gone_s = time.monotonic() - failed_s
    found = {"told": told, "started": started, "left": left, "gone_s": gone_s, "join_s": JOIN_S}
    print(json.dumps(found))


def _start() -> str:
    """As the product deploys it, but once: Serve would start it again. Answers with what Serve says
    of it then.
    """
    application = replica_application(fleet_of(PAIR), "pair", 0)
    (options,) = application["deployments"]
    replica = serve.deployment(**options, max_constructor_retry_count=1)(Leader)
    name = application["name"]
    try:
        serve.run(replica.bind(application["args"]), name=name, route_prefix=None)
    except RuntimeError:
        return str(serve.status().applications[name].deployments[options["name"]].message)
    return ""


def _note(what: str, value: float) -> None:
    with Path(os.environ[STARTED]).open("a") as file:
        file.write(f"{json.dumps([what, value])}\n")


def _started() -> list[tuple[str, float]]:
    lines = Path(os.environ[STARTED]).read_text().splitlines()
    return [(what, value) for what, value in map(json.loads, lines)]


def _left(started: list[tuple[str, float]]) -> list[str]:
    """Of all that was started: processes, wardens and their folders, and what Ray has reserved."""
    pids = [int(value) for what, value in started if what != "took_s"]
    groups = ray.util.placement_group_table().values()
    return [
        *(f"process {pid} of {leader}" for leader in pids for pid in members(leader)),
        *(f"the warden of {leader}" for leader in pids if _has_warden(leader)),
        *(str(path) for path in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*")),
        *(f"a placement group, {each['state']}" for each in groups if each["state"] != "REMOVED"),
        *([] if ray.available_resources().get("slot") == 2 else ["a slot that is taken"]),
    ]


def _has_warden(leader: int) -> bool:
    asked = f"warden.py\0{leader}\0".encode()
    return any(asked in _command(entry) for entry in Path("/proc").iterdir())


def _command(entry: Path) -> bytes:
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
