"""What a request is told that waits for a first replica."""

from deployments.autoscale import GROW_AFTER_S
from deployments.outlook import UNKNOWN_START_S, Starts, outlooks
from deployments.scaling_state import ModelState, ScalingState
from serving.snapshot import Outlook
from tests.deployments.test_plan import models

FLEET = models(a="replicas: {min: 0, max: 2}", b="")


def ready_in_s(starts: Starts, now_s: float, paused_until_s: float = 0.0) -> float:
    scaling = ScalingState(now_s, {"a": ModelState(0, paused_until_s=paused_until_s)})
    (found,) = outlooks(FLEET, scaling, starts, now_s)
    assert found.replica_set == "a"
    return found.ready_in_s


def test_only_models_that_may_have_no_replica_have_an_outlook() -> None:
    assert outlooks(FLEET, ScalingState(), Starts(), 0.0) == (
        Outlook("a", GROW_AFTER_S + UNKNOWN_START_S),
    )


def test_the_last_start_tells_how_long_the_next_one_takes() -> None:
    starts = Starts().seen({"a.0": "a"}, frozenset(), 100.0)
    assert ready_in_s(starts, 130.0) == UNKNOWN_START_S - 30
    starts = starts.seen({}, frozenset({"a.0"}), 140.0)
    assert ready_in_s(starts, 500.0) == GROW_AFTER_S + 40
    starts = starts.seen({"a.0": "a"}, frozenset(), 500.0)
    assert ready_in_s(starts, 510.0) == 30


def test_a_start_that_takes_longer_than_the_last_one_is_due_any_moment() -> None:
    starts = Starts().seen({"a.0": "a"}, frozenset(), 0.0)
    assert ready_in_s(starts, 10 * UNKNOWN_START_S) == 1.0
    assert starts.late(10.0, 9.0) == {"a.0"}


def test_after_a_failure_the_pause_is_part_of_the_wait() -> None:
    assert ready_in_s(Starts(), 100.0, paused_until_s=160.0) == 60 + GROW_AFTER_S + UNKNOWN_START_S
