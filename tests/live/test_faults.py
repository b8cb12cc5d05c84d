"""Faults of what is in front of engines: a gateway, the Controller, a gang that has no room. None
starts an engine.
"""

import os
import signal

import openai
import pytest

from tests.live.aftermath import Fault, leaders
from tests.live.conftest import DEMO
from tests.live.fleet_under_test import LiveFleet, wait_for
from tests.live.onlooker import BROKEN, COMPLETE
from tests.live.test_gangs import shaped
from tests.live.test_updates import (
    both_gateways,
    deployed,
    process_of,
    put,
    two_gateways_without,
)

pytestmark = pytest.mark.timeout(900)

CONTROLLER = "ray::ServeReplica:flotilla:Controller"
#: They fit the engine at once; that all of them come to one of two gateways is one chance in 1,024.
STREAMS = 11
#: A client that need not wait is answered within this, also on a busy machine.
AT_ONCE_S = 10.0


def test_28_the_controller_may_die_under_load_and_no_client_notices(
    fleet: LiveFleet, fault: Fault
) -> None:
    engine, old = fleet.replica("demo.0")["pid"], process_of(fleet, CONTROLLER)
    with fault.crowd("demo") as crowd:
        wait_for(lambda: len(crowd.answers) > 4 or None, "first answers")
        fault.strikes()
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: process_of(fleet, CONTROLLER) not in (0, old) or None, "a new Controller")
        fault.measured("a new Controller after", fault.since_s, "s")
        seen = len(crowd.answers)
        wait_for(lambda: len(crowd.answers) > seen + 8 or None, "more answers")
    assert set(fault.kinds) == {COMPLETE}
    assert fleet.replica("demo.0")["pid"] == engine
    wait_for(lambda: "nothing to do" in deploy_says(fleet) or None, "control", 120)


def deploy_says(fleet: LiveFleet) -> str:
    return fleet.run("deploy", str(fleet.file(DEMO)), check=False).stderr


def test_29_a_killed_gateway_breaks_its_own_connections_and_no_others(
    fleet: LiveFleet, fault: Fault
) -> None:
    fault.is_of_a_gateway = True
    victim = max(both_gateways(fleet))
    calls = [fault.call("demo", 200) for _ in range(STREAMS)]
    for call in calls:
        call.events(2)
    fault.strikes()
    os.kill(victim, signal.SIGKILL)
    kinds = [fault.ends(call).kind for call in calls]
    assert set(kinds) == {BROKEN, COMPLETE}
    fault.measured("connections broken", kinds.count(BROKEN), f"of {STREAMS}")
    assert {fault.ask("demo").kind for _ in range(20)} == {COMPLETE}
    two_gateways_without(fleet, {victim})


def test_07_what_can_never_fit_is_refused_with_the_numbers_before_anything_starts(
    fleet: LiveFleet, fault: Fault
) -> None:
    before = leaders(fleet)
    wide = shaped("wide", 4, 4) + "    replicas: {min: 8, max: 8}\n"
    refused = fleet.run("deploy", str(fleet.file(DEMO + wide)), check=False)
    assert refused.returncode != 0
    assert "wide" in refused.stderr
    assert "needs 4 stages of 4 accelerators" in refused.stderr
    assert leaders(fleet) == before
    assert fault.ask("wide").kind == "404 model_not_found"


def test_07_a_gang_that_waits_for_room_is_told_to_its_clients_at_once(
    fleet: LiveFleet, fault: Fault
) -> None:
    """By Serve's own API, which asks nobody whether it fits."""
    config = deployed(fleet, DEMO + shaped("wide", 1, 1))
    (wide,) = [each for each in config["applications"] if each["name"] == "wide.0"]
    room = {"slot": 1000.0}
    wide["deployments"][0] |= {
        "placement_group_bundles": [room],
        "ray_actor_options": {"num_cpus": 0, "resources": room},
    }
    fault.strikes()
    put(fleet, config)
    try:
        answer = wait_for(
            lambda: None if (a := fault.ask("wide")).kind.startswith("404") else a,
            "the model to be known",
        )
        assert answer.kind == "503 model_unavailable"
        assert answer.took_s < AT_ONCE_S
        assert answer.retry_after_s is not None
        assert 1 <= answer.retry_after_s <= 60
        assert fault.ask("demo").kind == COMPLETE
    finally:
        fleet.deploy(DEMO)
    with pytest.raises(openai.NotFoundError):
        fleet.says("wide")
    fault.measured("told in", answer.took_s, "s")
