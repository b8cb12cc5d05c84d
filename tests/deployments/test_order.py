"""Orders are refused when they were given for another situation, and otherwise keep a fleet's
bounds.
"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.ledger.acts import DrainReplica, Order, RestartReplica, ScaleModel
from deployments.order import refusal, remembered
from deployments.reconcile import Memory
from deployments.scaling_state import ScalingState
from tests.deployments.test_plan import models
from tests.serving.reports import replica

FLEET = models(a="replicas: {min: 1, max: 3}", b="")
REPORTS = (replica("a.0"), replica("a.1"), replica("b.0"))


def memory(**counts: int) -> Memory:
    return Memory(ScalingState().with_counts({"a": 2, "b": 1, **counts}, 0.0))


def refused(order: Order, before: Memory | None = None) -> str | None:
    return refusal(order, FLEET, before or memory(), REPORTS)


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (ScaleModel("a", 3, 1), "a is to have 2 replicas by now, not 1: look again"),
        (ScaleModel("a", 4, 2), "a has 1 to 3 replicas by its fleet file"),
        (ScaleModel("a", 0, 2), "a has 1 to 3 replicas by its fleet file"),
        (ScaleModel("c", 1, 1), "there is no c with replicas of its own any more"),
        (DrainReplica("a.7", "a.7#1"), "a.7 is not there any more"),
        (DrainReplica("a.0", "a.0#0"), "a.0 has been started anew meanwhile: look again"),
        (DrainReplica("b.0", "b.0#1"), "b keeps at least 1 by its fleet file: restart it"),
        (RestartReplica("a.7", "a.7#1"), "a.7 is not there any more"),
        (RestartReplica("a.0", "a.0#0"), "a.0 has been started anew meanwhile: look again"),
    ],
)
def test_an_order_for_another_situation_is_refused(order: Order, why: str) -> None:
    assert refused(order) == why


def test_a_scale_is_remembered_as_the_number_from_now_on() -> None:
    order = ScaleModel("a", 3, 2)
    assert refused(order) is None
    after = remembered(order, memory(), 7.0)
    assert after.scaling.counts() == {"a": 3, "b": 1}
    assert after.scaling.models["a"].changed_s == 7.0


def test_a_drain_is_one_fewer_and_names_who_goes() -> None:
    order = DrainReplica("a.0", "a.0#1")
    assert refused(order) is None
    after = remembered(order, replace(memory(), leaving=frozenset({"b.9"})), 7.0)
    assert after.scaling.counts()["a"] == 1
    assert after.leaving == {"a.0", "b.9"}


def test_a_restart_changes_no_number() -> None:
    order = RestartReplica("a.0", "a.0#1")
    assert refused(order) is None
    assert remembered(order, memory(), 7.0) == memory()


@given(st.integers(0, 5), st.integers(0, 5), st.integers(1, 3))
def test_no_order_leaves_the_bounds_of_the_fleet_file(count: int, seen: int, now: int) -> None:
    before = memory(a=now)
    for order in (ScaleModel("a", count, seen), DrainReplica("a.0", "a.0#1")):
        if refused(order, before) is None:
            assert 1 <= remembered(order, before, 1.0).scaling.counts()["a"] <= 3
