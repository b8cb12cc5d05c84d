"""Who gets how many replicas: what never happens whatever clients ask, and what does in the end."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments.autoscale import COOL_DOWN_S, MAX_GAP_S, MOST_GROWTHS, Change
from deployments.demand import Demand
from deployments.scaling_state import ScalingState, restored, stored
from deployments.terms import Terms
from tests.deployments.demands import DEMANDS, Site, demand

IDLE_S = 30.0


def terms(least: int = 1, most: int = 9, size: int = 1, **more: float) -> Terms:
    return Terms(least, most, size, **{"idle_s": IDLE_S, **more})  # type: ignore[arg-type]


def used(site: Site) -> int:
    return sum(ask.accelerators for ask in site.running)


# What never happens
NAMES = ("a", "b", "c")
TERMS = st.builds(
    lambda least, more, size, priority, weight: terms(
        least, max(1, least + more), size, priority=priority, weight=weight
    ),
    st.integers(0, 1),
    st.integers(0, 5),
    st.sampled_from([1, 1, 2, 4]),
    st.integers(-1, 1),
    st.sampled_from([0.5, 1.0, 3.0]),
)
SITES = st.builds(
    Site,
    st.lists(st.integers(4, 8), min_size=3, max_size=4),
    st.fixed_dictionaries(dict.fromkeys(NAMES, TERMS)),
)
LOOKS = st.lists(
    st.tuples(
        st.fixed_dictionaries(dict.fromkeys(NAMES, st.none() | DEMANDS)),
        st.sampled_from([5.0, 5.0, 10.0, 20.0, 25.0, 3600.0, -7200.0]),
    ),
    min_size=10,
    max_size=30,
)
LONG = settings(
    max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@LONG
@given(SITES, LOOKS)
def test_whatever_is_asked_limits_hold_and_what_is_decided_has_a_place(
    site: Site, looks: list[tuple[dict[str, Demand | None], float]]
) -> None:
    for demands, after_s in looks:
        site.look(demands, after_s)
        for name, count in site.counts.items():
            assert site.terms[name].min <= count <= site.terms[name].max
            assert site.state.models[name].count == count


@LONG
@given(SITES, LOOKS)
def test_57_no_model_changes_direction_twice_in_a_cool_down(
    site: Site, looks: list[tuple[dict[str, Demand | None], float]]
) -> None:
    for demands, after_s in looks:
        site.look(demands, max(after_s, 0))
    for name in NAMES:
        own = [(at_s, by > 0) for at_s, model, by in site.history if model == name]
        turns = [at for (_, was), (at, now) in pairwise(own) if was != now]
        assert all(b - a >= COOL_DOWN_S for a, b in pairwise(turns))


@LONG
@given(SITES, LOOKS)
def test_56_a_model_whose_demand_is_unknown_keeps_what_it_has(
    site: Site, looks: list[tuple[dict[str, Demand | None], float]]
) -> None:
    for demands, after_s in looks:
        made = site.look(demands, after_s)
        assert all(demands[change.model] is not None for change in made.changes)


@pytest.mark.parametrize(
    "bad", [Demand(running=10**15), Demand(kv_use=float("nan")), Demand(queued=-1), None]
)
def test_56_figures_that_cannot_be_are_as_good_as_none(bad: Demand | None) -> None:
    site = Site([8], {"a": terms(0), "b": terms(0)})
    site.looks({"a": demand(3), "b": demand(3)}, 100)
    before = site.counts
    site.looks({"a": bad, "b": demand(0)}, 600)
    assert site.counts == {"a": before["a"], "b": 0}


@LONG
@given(SITES, LOOKS)
def test_one_look_takes_from_others_for_one_replica_only_and_gives_up_one_at_most(
    site: Site, looks: list[tuple[dict[str, Demand | None], float]]
) -> None:
    for demands, after_s in looks:
        changes = site.look(demands, after_s).changes
        grown = [change for change in changes if change.after > change.before]
        fewer = [change for change in changes if change.after < change.before]
        assert sum(change.after - change.before for change in grown) <= MOST_GROWTHS
        if fewer and grown:
            assert [change.after - change.before for change in grown] == [1]
        elif fewer:
            assert [change.after - change.before for change in fewer] == [-1]


ALIKE = st.fixed_dictionaries(
    dict.fromkeys(NAMES, st.builds(lambda priority: terms(priority=priority), st.integers(-1, 1)))
)


@LONG
@given(ALIKE, st.integers(3, 9), st.fixed_dictionaries(dict.fromkeys(NAMES, st.floats(0, 6))))
def test_a_lower_priority_has_nothing_beyond_its_min_that_a_higher_one_wants(
    each: dict[str, Terms], accelerators: int, loads: dict[str, float]
) -> None:
    site = Site([accelerators], each)
    asked = {name: demand(load) for name, load in loads.items()}
    site.looks(asked, 1500)
    for name, own in each.items():
        if site.counts[name] < -(-asked[name].running // 100):
            lower = [other for other in NAMES if each[other].priority < own.priority]
            assert all(site.counts[other] == 1 for other in lower)


# What does happen
@LONG
@given(SITES, st.fixed_dictionaries(dict.fromkeys(NAMES, st.floats(0, 6))))
def test_under_a_constant_demand_everything_comes_to_rest(
    site: Site, loads: dict[str, float]
) -> None:
    asked = {name: demand(load) for name, load in loads.items()}
    site.looks(asked, 1500)
    changes = len(site.history)
    site.looks(asked, 300)
    assert len(site.history) == changes


@LONG
@given(SITES, st.fixed_dictionaries(dict.fromkeys(NAMES, st.floats(0, 6))))
def test_who_is_short_at_rest_is_short_because_nothing_is_free_for_it(
    site: Site, loads: dict[str, float]
) -> None:
    asked = {name: demand(load) for name, load in loads.items()}
    site.looks(asked, 1500)
    free = {room.node: room.accelerators for room in site.rooms}
    for ask in site.running:
        free[ask.current[0]] -= ask.tensor
    for name, each in site.terms.items():
        if site.counts[name] < each.clipped(-(-asked[name].running // 100)):
            assert max(free.values()) < each.accelerators


def test_a_load_step_gets_its_replicas_within_seconds_and_loses_them_after_its_idle_time() -> None:
    site = Site([8], {"a": terms(idle_s=120)})
    site.looks({"a": demand(0.5)}, 600)
    site.looks({"a": demand(2.5)}, 30)
    assert site.counts == {"a": 3}
    site.looks({"a": demand(0.5)}, 115)
    assert site.counts == {"a": 3}
    site.looks({"a": demand(0.5)}, 20)
    assert site.counts == {"a": 1}


def test_a_crowd_gets_what_there_is_room_for_within_a_minute_and_not_all_in_one_look() -> None:
    site = Site([8] * 20, {"a": terms(most=160)})
    site.looks({"a": demand(150)}, 15)
    assert site.counts == {"a": 1 + MOST_GROWTHS}
    site.looks({"a": demand(150)}, 45)
    assert site.counts == {"a": 150}


def test_one_look_that_says_too_much_does_not_decide_how_many_there_are() -> None:
    site = Site([8], {"a": terms()})
    for load in (2, 2, 8):
        site.look({"a": demand(load)})
    assert site.counts == {"a": 2}


def test_several_that_are_short_share_what_is_free_by_what_each_gains() -> None:
    site = Site([8], {"a": terms(weight=9.0), "b": terms()})
    site.looks({"a": demand(8), "b": demand(8)}, 30)
    assert site.counts == {"a": 6, "b": 2}


def test_a_model_without_demand_goes_to_zero_and_comes_back_for_one_request() -> None:
    site = Site([1], {"a": terms(0)})
    site.looks({"a": Demand(queued=1)}, 15)
    assert site.counts == {"a": 1}
    site.looks({"a": Demand(ready=1, arrivals_per_s=0.01)}, 300)
    assert site.counts == {"a": 1}
    site.looks({"a": Demand(ready=1)}, IDLE_S + 5)
    assert site.counts == {"a": 0}
    site.looks({"a": Demand(queued=1)}, COOL_DOWN_S + 5)
    assert site.counts == {"a": 1}


def test_two_models_trade_the_accelerators_as_demand_moves() -> None:
    site = Site([4], {"a": terms(), "b": terms()})
    site.looks({"a": demand(3), "b": demand(0.5)}, 100)
    assert site.counts == {"a": 3, "b": 1}
    site.looks({"a": demand(0.5), "b": demand(3)}, 150)
    assert site.counts == {"a": 1, "b": 3}


def test_both_short_the_weight_decides_who_has_more() -> None:
    site = Site([8], {"a": terms(weight=9.0), "b": terms()})
    site.looks({"a": demand(8), "b": demand(8)}, 1000)
    assert site.counts == {"a": 6, "b": 2}


def test_a_large_model_of_higher_priority_gets_a_whole_node_from_small_ones() -> None:
    site = Site([4, 4], {"big": terms(0, 1, 4, priority=1), "small": terms(1, 8)})
    site.looks({"big": demand(0), "small": demand(8)}, 300)
    assert site.counts == {"big": 0, "small": 8}
    made: list[Change] = []
    for _ in range(20):
        made += site.look({"big": demand(1), "small": demand(8)}).changes
    assert site.counts == {"big": 1, "small": 4}
    assert "takes 4 of small" in made[-1].why


def test_only_the_replicas_that_are_in_the_way_go() -> None:
    site = Site([2, 4], {"big": terms(0, 1, 3, priority=1), "small": terms(1, 5)})
    site.looks({"big": demand(0), "small": demand(5)}, 300)
    leaving: tuple[str, ...] = ()
    for _ in range(20):
        leaving += site.look({"big": demand(1), "small": demand(5)}).leaving
    assert site.counts == {"big": 1, "small": 3}
    assert len(leaving) == 2


def test_after_a_gap_or_a_clock_that_went_back_nothing_is_decided_at_once() -> None:
    for jump_s in (MAX_GAP_S + 1, -3600.0):
        site = Site([4], {"a": terms()})
        site.look({"a": demand(3)})
        assert site.look({"a": demand(3)}, jump_s).changes == ()
        site.looks({"a": demand(3)}, 15)
        assert site.counts == {"a": 3}


def test_first_tokens_from_before_the_last_replica_came_ask_for_no_further_one() -> None:
    site = Site([8], {"a": terms(first_token_s=1.0)})
    slow = Demand(ready=1, running=30, first_token_s=20.0)
    site.looks({"a": slow}, 60)
    assert site.counts == {"a": 2}
    site.looks({"a": replace(slow, ready=2)}, 30)
    assert site.counts == {"a": 2}
    site.looks({"a": replace(slow, ready=2)}, 30)
    assert site.counts == {"a": 4}


def test_rising_arrivals_are_met_before_they_are_there() -> None:
    rising, steady = (Site([4], {"a": terms()}) for _ in range(2))
    for site, rate in ((rising, 4.0), (steady, 1.0)):
        site.looks({"a": replace(demand(0.9), arrivals_per_s=1.0)}, 600)
        site.looks({"a": replace(demand(0.9), arrivals_per_s=rate)}, 60)
    assert (rising.counts, steady.counts) == ({"a": 2}, {"a": 1})


def test_a_replica_that_does_not_come_up_is_not_tried_again_at_once_nor_given_up() -> None:
    site = Site([4], {"a": terms()})
    asked = {"a": demand(2)}
    pauses = []
    for _ in range(4):
        began_s = site.now_s
        while site.counts == {"a": 1}:
            site.look(asked)
        pauses.append(site.now_s - began_s)
        site.state = site.state.with_failure("a", site.now_s)
        site.running = site.running[:1]
    assert pauses[0] < pauses[1] < pauses[2] < pauses[3]


# What is kept
def test_what_is_remembered_comes_back_from_a_file() -> None:
    site = Site([4], {"a": terms(), "b": terms(0)})
    site.looks({"a": demand(3), "b": None}, 60)
    assert restored(stored(site.state)) == site.state


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"models": {"a": {"count": -1}}}', '{"models": {"a": {}}}', "\udc80"]
)
def test_a_file_that_says_nothing_true_is_not_believed(text: str) -> None:
    assert restored(text) is None


def test_an_empty_memory_can_be_kept_too() -> None:
    assert restored(stored(ScalingState())) == ScalingState()


def test_a_fleet_that_allows_less_is_obeyed_at_once() -> None:
    site = Site([4], {"a": terms()})
    site.looks({"a": demand(3)}, 60)
    site.terms = {"a": replace(site.terms["a"], max=2)}
    assert site.look({"a": None}).scaling.counts() == {"a": 2}
