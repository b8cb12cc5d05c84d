"""Hosts join and are lost: each live one has its two gateways, and those of the others stay."""

import json
import shutil
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.fleet_under_test import wait_for
from tests.live.hosted_fleet import HostedFleet
from tests.live.hosts import Hosts, missing

pytestmark = [
    # tests/hosts has nodes that leave and join too.
    pytest.mark.heavy,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(missing()), reason=missing() or "has what it needs"),
]

PORT = 18200
#: A fleet may have no replica at all: what is looked at here is in front of them.
FLEET = f"""\
device: cpu
grace_s: 20
gateway: {{host: 0.0.0.0, port: {PORT}}}
models:
  gone: {{unavailable: nobody has its weights}}
"""
SERVE = str(Path(sys.executable).with_name("serve"))


@pytest.fixture(scope="module")
def fleet() -> Iterator[HostedFleet]:
    """Two of three hosts are nodes, and the fleet runs."""
    with Hosts(3, "ftg", "10.79.0") as hosts:
        fleet = HostedFleet(hosts, PORT)
        try:
            fleet.start_ray(1)
            fleet.start_ray(2)
            fleet_file(fleet).write_text(FLEET)
            deploy(fleet)
            yield fleet
        finally:
            left = fleet.stop_ray()
            shutil.rmtree(fleet.home)
        assert left == []


def fleet_file(fleet: HostedFleet) -> Path:
    return fleet.home / "fleet.yaml"


def has_one_more(fleet: HostedFleet, model: str) -> None:
    """Adds a model to the fleet file."""
    file = fleet_file(fleet)
    file.write_text(f"{file.read_text()}  {model}: {{unavailable: nobody has its weights}}\n")


def deploy(fleet: HostedFleet) -> list[dict[str, str]]:
    """Deploys the fleet file; answers with the steps it took."""
    printed = fleet.flotilla("deploy", str(fleet_file(fleet)), "--json")
    steps: list[dict[str, str]] = json.loads(printed)["steps"]
    return steps


def gateways(fleet: HostedFleet, *hosts: int) -> dict[int, str]:
    """The address of each gateway by its pid, once these hosts have two each and no others any, and
    nothing is wrong.
    """
    expected = {fleet.hosts.address(host): 2 for host in hosts}

    def found() -> dict[int, str] | None:
        status: dict[str, Any] = json.loads(fleet.flotilla("status", "--json"))
        nodes = {each["pid"]: each["node"] for each in status["gateways"]}
        return nodes if Counter(nodes.values()) == expected and not status["notes"] else None

    return wait_for(found, f"two gateways on each of {hosts}")


def is_ready(fleet: HostedFleet, host: int) -> bool:
    url = f"http://{fleet.hosts.address(host)}:{PORT}/readyz"
    with urllib.request.urlopen(url, timeout=20) as reply:
        return bool(reply.status == 200)


def test_serves_own_deploy_of_a_rendered_file_leaves_the_number_alone(fleet: HostedFleet) -> None:
    at_first = gateways(fleet, 1, 2)
    has_one_more(fleet, "lost")
    rendered = fleet.home / "serve.yaml"
    rendered.write_text(fleet.flotilla("render", str(fleet_file(fleet))))
    fleet.hosts.run(1, [SERVE, "deploy", str(rendered)], fleet.environment, 120)

    def is_told() -> bool | None:
        models = json.loads(fleet.flotilla("status", "--json"))["models"]
        return [model["name"] for model in models] == ["gone", "lost"] or None

    wait_for(is_told, "the new model")
    assert gateways(fleet, 1, 2) == at_first
    assert deploy(fleet) == []


def test_every_live_node_has_two_gateways_and_the_others_keep_theirs(fleet: HostedFleet) -> None:
    at_first = gateways(fleet, 1, 2)

    fleet.start_ray(3)
    with_third = gateways(fleet, 1, 2, 3)
    assert at_first.items() <= with_third.items()
    assert all(is_ready(fleet, host) for host in (1, 2, 3))
    assert deploy(fleet) == []

    has_one_more(fleet, "missed")
    assert deploy(fleet) == [{"action": "change", "application": "flotilla"}]
    assert gateways(fleet, 1, 2, 3) == with_third

    fleet.kill(3)
    assert gateways(fleet, 1, 2) == at_first
    assert all(is_ready(fleet, host) for host in (1, 2))
    assert deploy(fleet) == []
