"""A GPU that falls off the bus, as far as that can be without one: Ray, Serve, the Controller and
the gateways are real, and so is Ray's way to the driver; only the driver's library is ours.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live.fleet_under_test import MODEL, wait_for
from tests.live.hosted_fleet import HostedFleet, hosted_fleet
from tests.live.hosts import Hosts, missing

WHY_NOT = missing() or ("" if shutil.which("gcc") else "no `gcc`: install gcc and libc6-dev")

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "has what it needs"),
]

PORT, NETWORK = 18500, "10.82.0"
NODE = f"{NETWORK}.1"
GPUS = 4
LIBRARY = "libnvidia-ml.so.1"
#: The model has no replica before somebody asks for it: an engine could not start here.
FLEET = f"""\
device: gpu
inventory: nodes.yaml
gateway: {{host: 0.0.0.0, port: {PORT}}}
models:
  m:
    source: {MODEL}
    max_model_len: 1024
    replicas: {{min: 0, max: 1}}
"""
NODES = f"""\
name: lonely
accelerators: {{kind: h100-sxm-80gb, count: {GPUS}}}
nodes: [{{name: n1, address: {NODE}}}]
"""


class Driver:
    """Of the host; what it answers for may change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = folder / "count"
        source = Path(__file__).with_name("fake_driver.c")
        build = ["gcc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(folder / LIBRARY)]
        subprocess.run([*build, str(source)], check=True)

    @property
    def settings(self) -> dict[str, str]:
        """The environment of processes that find it."""
        return {"LD_LIBRARY_PATH": str(self._folder), "FAKE_DRIVER_FILE": str(self._count)}

    def answers_for(self, count: int) -> None:
        whole = self._count.with_suffix(".new")
        whole.write_text(str(count))
        os.replace(whole, self._count)


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    made = Driver(tmp_path)
    made.answers_for(GPUS)
    return made


@pytest.fixture
def fleet(driver: Driver) -> Iterator[HostedFleet]:
    """One host, and a fleet that nobody has asked yet."""
    with Hosts(1, "fla", NETWORK) as hosts, hosted_fleet(hosts, PORT, driver.settings) as made:
        (made.home / "nodes.yaml").write_text(NODES)
        (made.home / "fleet.yaml").write_text(FLEET)
        made.flotilla("deploy", str(made.home / "fleet.yaml"))
        yield made


def test_33_a_driver_that_answers_for_one_accelerator_less_makes_its_node_suspect(
    fleet: HostedFleet, driver: Driver, record_property: Callable[[str, object], None]
) -> None:
    (told,) = fleet.dashboard("/nodes?view=summary")["data"]["summary"]
    assert [gpu["temperatureC"] for gpu in told["gpus"]] == [61, 62, 63, 64]
    assert fleet.status()["notes"] == []
    driver.answers_for(GPUS - 1)
    lost_s = time.monotonic()
    suspect = f"{NODE} is suspect: its driver answers for 3 of 4 accelerators; nothing starts there"
    wait_for(lambda: suspect in fleet.status()["notes"] or None, "the node to be suspect")
    record_property("measured", f"suspect after {time.monotonic() - lost_s:.0f} s")
    planned = json.loads(fleet.flotilla("plan", str(fleet.home / "fleet.yaml"), "--json"))
    assert f"n1 is {suspect.removeprefix(f'{NODE} is ').replace(';', ':')}" in planned["notes"]
    driver.answers_for(GPUS)
    wait_for(lambda: fleet.status()["notes"] == [] or None, "the node to be trusted again")
    lines = fleet.flotilla("events", "--json").splitlines()
    said = [each["text"] for each in map(json.loads, lines) if each["kind"] == "node"]
    assert said == [suspect.removeprefix(f"{NODE} "), "is no longer suspect"]
