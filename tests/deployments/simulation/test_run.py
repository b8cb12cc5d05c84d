"""Whole runs: real plans, real routing, real autoscaling, and what must hold whatever happens."""

from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.inventory import Inventory
from deployments.errors import FleetBlocked
from deployments.fleet import Fleet
from deployments.simulation.cluster import Site
from deployments.simulation.event import NodeEvent, What
from deployments.simulation.record import Ending
from deployments.simulation.report import report
from deployments.simulation.run import Case, Outcome, simulate
from deployments.simulation.trace import Arrival, Trace
from tests.deployments.simulation.times import BLOCK, arrival, service_time
from tests.deployments.test_plan import KNOWN, models, nodes


def played(
    fleet: Fleet,
    inventory: Inventory,
    arrivals: Iterable[Arrival],
    events: tuple[NodeEvent, ...] = (),
    **time: Any,
) -> Outcome:
    site = Site(fleet, inventory, dict.fromkeys(fleet.served(), KNOWN))
    times = dict.fromkeys(fleet.served(), service_time(**time))
    case = Case(site, times, Trace(tuple(arrivals), BLOCK), events)
    return simulate(case, Random(0).randrange)  # noqa: S311


def endings(outcome: Outcome) -> list[Ending]:
    return [record.ending for record in outcome.records]


def steadily(count: int, every_s: float = 1.0, output: int = 5) -> list[Arrival]:
    return [arrival(32, output, (n,), at_s=n * every_s) for n in range(count)]


def test_requests_spread_over_the_replicas_of_their_model() -> None:
    alone = played(models(m="replicas: {min: 1}"), nodes(2), steadily(60, 0.1), sequences=16)
    both = played(models(m="replicas: {min: 2}"), nodes(2), steadily(60, 0.1), sequences=16)
    assert endings(both).count(Ending.ANSWERED) > 1.4 * endings(alone).count(Ending.ANSWERED)
    assert set(endings(alone) + endings(both)) == {Ending.ANSWERED, Ending.OVERLOADED}


def test_a_turn_of_a_conversation_goes_where_the_turn_before_it_went() -> None:
    turns = [
        arrival(16 * n + 8, 2, tuple(range(root * 100, root * 100 + n)), at_s=20.0 * n + root)
        for n in range(1, 9)
        for root in range(4)
    ]
    outcome = played(models(m="replicas: {min: 4}"), nodes(4), turns)
    found = sum(record.found_tokens for record in outcome.records)
    assert found == sum(16 * (n - 1) for n in range(1, 9)) * 4


def test_what_no_window_holds_is_refused_and_the_larger_window_takes_what_it_can() -> None:
    fleet = models(
        m="max_model_len: 100, fallback: big", big="max_model_len: 8192, replicas: {min: 1}"
    )
    asked = [arrival(80, 20), arrival(90, 20), arrival(8000, 500)]
    outcome = played(fleet, nodes(2), asked)
    assert sorted((each.arrival.prompt_tokens, each.ending) for each in outcome.records) == [
        (80, Ending.ANSWERED),
        (90, Ending.ANSWERED),
        (8000, Ending.TOO_LONG),
    ]
    sets = {each.arrival.prompt_tokens: each.replica_set for each in outcome.records}
    assert (sets[80], sets[90]) == ("m", "big")


def test_a_fleet_that_does_not_fit_is_not_played() -> None:
    with pytest.raises(FleetBlocked):
        played(models(m="replicas: {min: 3}"), nodes(2), steadily(1))


def test_demand_makes_more_replicas_and_its_end_fewer() -> None:
    crowd = [arrival(90, 40, at_s=1.2 * n) for n in range(400)]
    later = [arrival(20, 2, at_s=1500.0 + 60 * n) for n in range(20)]
    fleet = models(m="replicas: {min: 1, max: 4}")
    outcome = played(fleet, nodes(4), [*crowd, *later], sequences=32, tokens=400)
    counts = [each.change.after for each in outcome.decided]
    assert max(counts) > 2
    assert counts[-1] == 1
    refused = [each for each in outcome.records if each.ending is Ending.OVERLOADED]
    assert max(each.arrival.at_s for each in refused) < 120, "until there were more"
    assert set(endings(outcome)) == {Ending.ANSWERED, Ending.OVERLOADED}


def test_a_model_without_a_replica_gets_one_and_its_requests_wait_for_it() -> None:
    fleet = models(m="replicas: {min: 0, max: 1}")
    outcome = played(fleet, nodes(1), [arrival(16, 2, at_s=7.0)])
    (record,) = outcome.records
    assert record.ending is Ending.ANSWERED
    assert record.first_token_s is not None
    assert record.first_token_s > 10, "a start takes ten seconds"


def test_a_node_that_leaves_takes_its_replica_and_another_node_gets_it() -> None:
    events = (NodeEvent(20.5, "n1", What.LEAVES),)
    outcome = played(
        models(m="replicas: {min: 1}"), nodes(1, 1), steadily(60), events, sequences=32
    )
    assert outcome.accelerators.held == {"m": 1}
    cut = [record for record in outcome.records if record.ending is Ending.CUT]
    assert 0 < len(cut) < 10, "those that had a token"
    assert {each.ending for each in outcome.records} == {Ending.ANSWERED, Ending.CUT}


def test_without_any_replica_requests_end_with_their_deadline() -> None:
    events = (NodeEvent(0.5, "n1", What.LEAVES),)
    outcome = played(models(m="replicas: {min: 1}"), nodes(1), steadily(600, 0.01), events)
    assert set(endings(outcome)) == {Ending.LATE, Ending.OVERLOADED}
    assert outcome.ended_s == pytest.approx(600, abs=10)


def test_a_full_replica_beside_a_lost_one_refuses_what_it_has_no_room_for() -> None:
    crowd = [arrival(1, 2, at_s=1.0) for _ in range(600)]
    events = (NodeEvent(0.5, "n1", What.LEAVES),)
    outcome = played(models(m="replicas: {min: 2}"), nodes(1, 1), crowd, events, sequences=256)
    running, waiting = 272, 136  # a sixteenth ahead; half as many wait
    assert endings(outcome).count(Ending.ANSWERED) == running + waiting
    assert endings(outcome).count(Ending.OVERLOADED) == 600 - running - waiting


def test_a_node_that_returns_is_used_again() -> None:
    events = (NodeEvent(5, "n1", What.LEAVES), NodeEvent(30, "n1", What.RETURNS))
    outcome = played(models(m="replicas: {min: 1}"), nodes(1), steadily(60), events, sequences=32)
    assert endings(outcome).count(Ending.ANSWERED) > 40
    assert dict(outcome.accelerators.free) == {"n1": 0}


MODELS = ("a", "b")
ARRIVALS = st.lists(
    st.builds(
        arrival,
        st.integers(1, 200),
        st.integers(1, 80),
        st.sampled_from([(), (1,), (1, 2), (3, 4, 5)]),
        st.floats(0, 300).map(lambda at: round(at, 2)),
        st.sampled_from(MODELS),
    ).filter(lambda each: len(each.blocks) * BLOCK <= each.prompt_tokens),
    min_size=1,
    max_size=40,
).map(lambda found: sorted(found, key=lambda each: each.at_s))
TIMES = st.lists(st.floats(1, 400), max_size=4).map(sorted)


def _events(times: list[float]) -> tuple[NodeEvent, ...]:
    """One node, away and back in turn."""
    turns = (What.LEAVES, What.RETURNS)
    return tuple(NodeEvent(at, "n2", turns[n % 2]) for n, at in enumerate(times))


@settings(max_examples=40)
@given(
    arrivals=ARRIVALS,
    times=TIMES,
    most=st.integers(1, 4),
    least=st.integers(0, 1),
    sequences=st.integers(1, 4),
)
def test_whatever_happens_every_request_has_one_ending_and_no_accelerator_two_holders(
    arrivals: list[Arrival], times: list[float], most: int, least: int, sequences: int
) -> None:
    replicas = f"replicas: {{min: {least}, max: {most}}}, max_model_len: 250"
    fleet = models(a=replicas, b=f"{replicas}, tensor: 2")
    outcome = played(
        fleet, nodes(3, 2, 2), arrivals, _events(times), sequences=sequences, blocks=1 + 20
    )
    assert sorted(id(each.arrival) for each in outcome.records) == sorted(map(id, arrivals))
    for record in outcome.records:
        assert record.ended_s >= 0
        assert record.found_tokens <= record.arrival.prompt_tokens
    held = outcome.accelerators.held
    free = outcome.accelerators.free
    assert all(count >= 0 for count in [*free.values(), *held.values()])
    there = 7 if len(free) == 3 else 5
    assert sum(free.values()) + sum(held.values()) == there
    room = outcome.accelerators.total * outcome.ended_s
    assert sum(outcome.accelerators.seconds.values()) <= room + 1e-6


@settings(max_examples=8)
@given(arrivals=ARRIVALS, times=TIMES)
def test_the_same_case_comes_out_the_same_to_the_last_byte(
    arrivals: list[Arrival], times: list[float]
) -> None:
    fleet = models(a="replicas: {min: 1, max: 3}", b="replicas: {min: 1, max: 3}")
    first, second = (
        played(fleet, nodes(2, 2), arrivals, _events(times), sequences=2) for _ in range(2)
    )
    assert repr(first.records) == repr(second.records)
    assert repr(report(first, MODELS)) == repr(report(second, MODELS))
