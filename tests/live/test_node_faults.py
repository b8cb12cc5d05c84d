"""Faults of nodes: two hosts with a replica on each, clients at the gateways of the first."""

import threading
from collections.abc import Callable, Iterator

import pytest

from tests.live.aftermath import Fault
from tests.live.fleet_under_test import wait_for
from tests.live.hosted_fleet import HostedFleet
from tests.live.hosts import missing
from tests.live.one_on_each import address, deploy, one_on_each, ready
from tests.live.onlooker import COMPLETE

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(missing()), reason=missing() or "has what it needs"),
]

CUT = "200 cut, upstream_error"
#: What a gateway says that has waited in vain for the Controller's answer.
UNHEARD = "no news from the Controller"
#: Who streams may be cut; all together are no more than may be retried at once.
CLIENTS, STREAMING = 3, 2
#: Seconds of work, well within the grace.
LONG_TOKENS = 600
#: An engine's start on a busy machine.
START_S = 420.0


@pytest.fixture(scope="module")
def fleet() -> Iterator[HostedFleet]:
    with one_on_each(2) as made:
        yield made


def test_19_a_node_whose_raylet_is_killed_loses_its_replica_until_it_is_back(
    fleet: HostedFleet, fault: Fault
) -> None:
    first = ready(fleet)[address(1)]
    kept, unheard = fleet.replica(first)["pid"], times_unheard(fleet)
    loses_the_second(fleet, fault, 60, fleet.kill_raylet)
    assert times_unheard(fleet) == unheard
    wait_for(lambda: blocked(fleet) or None, "the other one to be said to have no place")
    fleet.forget(2)
    fleet.start_ray(2)
    wait_for(lambda: len(ready(fleet)) == 2 or None, "the replica to be back", START_S)
    assert fleet.replica(first)["pid"] == kept


def test_21_a_node_that_is_cut_off_is_left_and_counts_once_when_it_is_back(
    fleet: HostedFleet, fault: Fault
) -> None:
    """Its replica lives on meanwhile, and nobody is told that anything has ended. Clients ask what
    nobody has asked yet: a question that saw two replicas die is refused.
    """
    first = ready(fleet)[address(1)]
    kept = fleet.replica(first)["pid"]
    try:
        loses_the_second(fleet, fault, 80, fleet.hosts.cut_off)
    finally:
        fleet.hosts.join(2)
    # It learns that it was given up, and ends.
    fleet.forget(2)
    fleet.start_ray(2)
    wait_for(lambda: len(ready(fleet)) == 2 or None, "the replica to be back", START_S)
    assert len(fleet.replicas()) == 2
    assert fleet.replica(first)["pid"] == kept


def test_20_a_planned_drain_of_a_node_costs_no_client_anything(
    fleet: HostedFleet, fault: Fault
) -> None:
    leaving = fleet.replica(ready(fleet)[address(2)])["address"]
    calls = [fault.call("twin", LONG_TOKENS) for _ in range(4)]
    for call in calls:
        call.events(3)
    assert fleet.engine(leaving, "num_requests_running") > 0
    fault.strikes()
    draining = threading.Thread(target=deploy, args=(fleet, 1))
    with fault.crowd("twin", clients=2):
        draining.start()
        assert {fault.ends(call).kind for call in calls} == {COMPLETE}
        draining.join(START_S)
    assert not draining.is_alive()
    fault.measured("drained after", fault.since_s, "s")
    assert set(fault.kinds) == {COMPLETE}
    assert set(ready(fleet)) == {address(1)}


def loses_the_second(
    fleet: HostedFleet, fault: Fault, tokens: int, strike: Callable[[int], None]
) -> None:
    """Clients ask all the while, and get their answers from the first host in the end."""
    with fault.crowd("twin", tokens, CLIENTS) as crowd:
        wait_for(lambda: len(crowd.answers) > 8 or None, "first answers")
        fault.strikes()
        strike(2)
        wait_for(lambda: set(ready(fleet)) == {address(1)} or None, "the loss to be known")
        fault.measured("the loss was known after", fault.since_s, "s")
        seen = len(crowd.answers)
        wait_for(lambda: len(crowd.answers) > seen + 8 or None, "more answers")
    fault.measured("the slowest answer took", max(each.took_s for each in crowd.answers), "s")
    assert set(fault.kinds) <= {COMPLETE, CUT}
    assert fault.kinds[CUT] <= STREAMING


def blocked(fleet: HostedFleet) -> list[str]:
    """What an operator is told of replicas that have no place."""
    return [note for note in fleet.status()["notes"] if " is blocked: needs " in note]


def times_unheard(fleet: HostedFleet) -> int:
    """How often gateways have waited in vain, by what they have written."""
    logs = (fleet.home / "ray" / "session_latest" / "logs").glob("worker-*.err")
    return sum(log.read_text(errors="replace").count(UNHEARD) for log in logs)
