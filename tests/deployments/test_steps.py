"""From any config to any other, one application at a time."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from cluster.label import ADDRESS_LABEL
from deployments.held import held
from deployments.render import render
from deployments.steps import Action, applications_of, steps
from tests.deployments.fleets import changed, configs, fleet_of

NAMES = ["a.0", "a.1", "b.0", "c.0"]
CONFIGS = configs(st.dictionaries(st.sampled_from(NAMES), st.integers(0, 1)))
#: Without an ingress, also empty: what a first deploy or a foreign one may find.
ANYTHING: st.SearchStrategy[dict[str, Any]] = CONFIGS | st.just({"applications": []})
FAILED = st.sets(st.sampled_from([*NAMES, "flotilla"]))


@given(ANYTHING, CONFIGS, FAILED)
def test_53_the_steps_end_at_the_desired_config_wherever_they_begin(
    current: dict[str, Any], desired: dict[str, Any], failed: set[str]
) -> None:
    taken = steps(applications_of(current), desired, failed)
    last = taken[-1].config if taken else {**desired, "applications": current["applications"]}
    assert applications_of(last) == applications_of(desired)
    if taken:
        assert last == desired


@given(ANYTHING, CONFIGS, FAILED)
def test_each_step_changes_exactly_the_application_that_it_names(
    current: dict[str, Any], desired: dict[str, Any], failed: set[str]
) -> None:
    before = applications_of(current)
    for step in steps(before, desired, failed):
        after = applications_of(step.config)
        differing = {n for n in {*before, *after} if before.get(n) != after.get(n)}
        assert differing == {step.application}
        assert (step.action is Action.ADD) == (step.application not in before)
        assert (step.action is Action.REMOVE) == (step.application not in after)
        before = after


@given(CONFIGS, FAILED)
def test_nothing_to_do_is_no_step_except_for_what_serve_has_given_up_on(
    config: dict[str, Any], failed: set[str]
) -> None:
    again = {step.application for step in steps(applications_of(config), config, failed)}
    assert again == failed & applications_of(config).keys()


@given(CONFIGS, CONFIGS)
def test_gateways_hear_of_replicas_after_they_are_there_and_before_they_go(
    current: dict[str, Any], desired: dict[str, Any]
) -> None:
    order = [(s.action, s.application) for s in steps(applications_of(current), desired)]
    told = [at for at, (_, name) in enumerate(order) if name == "flotilla"]
    gone = [at for at, (action, _) in enumerate(order) if action is Action.REMOVE]
    there = [at for at, (action, name) in enumerate(order) if at not in gone and at not in told]
    assert there + told + gone == list(range(len(order)))


PLACES = st.lists(st.tuples(st.integers(1, 2), st.integers(0, 1)), min_size=1, max_size=2)
PLACED = st.dictionaries(st.sampled_from(NAMES), PLACES)
ROOM = {"10.0.0.0": 4.0, "10.0.0.1": 4.0}


def placed(replicas: dict[str, list[tuple[int, int]]]) -> dict[str, Any]:
    """A config whose replicas hold accelerators of two nodes: (how many, on which) a stage."""
    applications = [
        {
            "name": name,
            "deployments": [
                {
                    "placement_group_bundles": [{"GPU": float(count)} for count, _ in stages],
                    "placement_group_bundle_label_selector": [
                        {ADDRESS_LABEL: f"10.0.0.{node}"} for _, node in stages
                    ],
                }
            ],
        }
        for name, stages in replicas.items()
    ]
    return {"applications": [{"name": "flotilla", "args": len(replicas)}, *applications]}


def in_use(applications: Mapping[str, Any]) -> Counter[str]:
    total: Counter[str] = Counter()
    for config in applications.values():
        total.update(held(config))
    return total


def has_room(applications: Mapping[str, Any]) -> bool:
    return all(count <= ROOM[address] for address, count in in_use(applications).items())


@given(PLACED.map(placed), PLACED.map(placed))
def test_no_step_wants_an_accelerator_that_another_replica_still_holds(
    current: dict[str, Any], desired: dict[str, Any]
) -> None:
    assume(has_room(applications_of(current)) and has_room(applications_of(desired)))
    for step in steps(applications_of(current), desired, capacity=ROOM):
        assert has_room(applications_of(step.config))


@given(PLACED.map(placed), PLACED.map(placed))
def test_on_full_nodes_too_the_steps_end_at_the_desired_config(
    current: dict[str, Any], desired: dict[str, Any]
) -> None:
    taken = steps(applications_of(current), desired, capacity=ROOM)
    last = taken[-1].config if taken else {**desired, "applications": current["applications"]}
    assert applications_of(last) == applications_of(desired)


def test_two_replicas_that_change_places_make_room_for_each_other() -> None:
    before = placed({"a.0": [(2, 0), (2, 0)], "b.0": [(2, 1), (2, 1)]})
    after = placed({"a.0": [(2, 1), (2, 1)], "b.0": [(2, 0), (2, 0)]})
    taken = steps(applications_of(before), after, capacity=ROOM)
    assert [(step.action, step.application) for step in taken] == [
        (Action.REMOVE, "a.0"),
        (Action.CHANGE, "b.0"),
        (Action.ADD, "a.0"),
    ]


def test_on_a_full_cluster_clients_are_led_away_before_a_replica_makes_room() -> None:
    before = placed({"a.0": [(2, 0), (2, 0)]})
    after = placed({"b.0": [(2, 0), (2, 0)], "c.0": [(1, 1)]})
    taken = steps(applications_of(before), after, capacity=ROOM)
    assert [(step.action, step.application) for step in taken] == [
        (Action.ADD, "c.0"),
        (Action.CHANGE, "flotilla"),
        (Action.REMOVE, "a.0"),
        (Action.ADD, "b.0"),
    ]


def test_what_ray_placed_is_moved_before_anything_is_added_beside_it() -> None:
    before = placed({"a.0": []})
    after = placed({"b.0": [(2, 0)], "a.0": [(2, 0)]})
    taken = steps(applications_of(before), after, capacity=ROOM)
    assert [step.application for step in taken] == ["a.0", "b.0", "flotilla"]


def test_a_first_deploy_begins_with_the_ingress_that_replicas_report_to() -> None:
    taken = steps({}, render(fleet_of()))
    assert [step.application for step in taken] == [
        "flotilla",
        "flotilla-dashboard",
        "big.0",
        "big.1",
    ]


def test_a_new_alias_is_one_step_that_no_replica_notices() -> None:
    after = render(changed(fleet_of(), small={"aliases": ("other",)}))
    taken = steps(applications_of(render(fleet_of())), after)
    assert [(step.action, step.application) for step in taken] == [(Action.CHANGE, "flotilla")]
