"""Placement, rule by rule: what never happens, in any world, and what does, in small ones."""

import os
import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cluster.placement import Ask, Placement, Room, place
from tests.cluster.placements import (
    World,
    ask,
    free_room,
    moved,
    rooms_of,
    running,
    ways,
    worlds,
)


def places(rooms: tuple[Room, ...], *asks: Ask) -> dict[str, str]:
    """Replica -> the nodes of its stages, as in "n0 n1"."""
    return {replica: " ".join(nodes) for replica, nodes in place(rooms, asks).places.items()}


def reason(rooms: tuple[Room, ...], *asks: Ask) -> str:
    """Why the last one has no place."""
    return place(rooms, asks).unplaced[asks[-1].replica]


# Rule 1


@given(worlds(priorities=3, runs=True))
def test_no_node_is_overfull_and_every_ask_has_a_right_place_or_a_reason(world: World) -> None:
    placement = world.placed()
    assert all(room >= 0 for room in free_room(world, placement.places).values())
    assert not placement.places.keys() & placement.unplaced.keys()
    for one in world.asks:
        nodes = placement.places.get(one.replica)
        if nodes is None:
            assert placement.unplaced[one.replica]
        else:
            assert len(nodes) == one.pipeline
            stays = one.may_stay and nodes == one.current
            assert stays or all(one.may_use(node) for node in nodes)
            assert len(set(nodes)) == one.pipeline or not one.spread


# Rule 2


@given(worlds())
def test_stages_are_on_as_few_nodes_as_free_room_allows(world: World) -> None:
    assert _needlessly_apart(world) == []


def test_that_also_holds_when_others_had_to_go_for_them() -> None:
    shapes = [(5, 6), (4, 3), (5, 2), (7, 1), (6, 1), (2, 2)]
    asks = tuple(ask(f"{model}.0", *shape) for model, shape in zip("abcdef", shapes, strict=True))
    assert _needlessly_apart(World(rooms_of(*[8] * 10), asks)) == []


def test_stages_that_fit_on_one_node_are_together() -> None:
    assert places(rooms_of(4, 4, 8), ask("m.0", 4, 2)) == {"m.0": "n2 n2"}


def test_stages_that_do_not_are_on_few_nodes_and_the_rest_where_it_fits_best() -> None:
    assert places(rooms_of(2, 8, 6, 4, 8), ask("m.0", 2, 10)) == {
        "m.0": "n1 n1 n1 n1 n4 n4 n4 n4 n3 n3"
    }


def test_stages_of_a_spread_replica_are_apart_even_when_one_node_could_hold_them() -> None:
    assert places(rooms_of(8, 8), Ask("m.0", "m", 2, 2, spread=True)) == {"m.0": "n0 n1"}


# Rule 3


@given(worlds(priorities=2, runs=True), st.randoms(use_true_random=False))
def test_the_order_of_the_asks_does_not_matter(world: World, dice: random.Random) -> None:
    shuffled = list(world.asks)
    dice.shuffle(shuffled)
    assert place(world.rooms, shuffled) == world.placed()


@given(worlds(runs=True))
def test_the_names_of_the_nodes_do_not_matter(world: World) -> None:
    new = {name: f"z{9 - int(name[1:])}" for name in (room.node for room in world.rooms)}
    new |= {name: name for name in ("gone", "elsewhere")}
    rooms = [Room(new[room.node], room.accelerators) for room in world.rooms]
    asks = [
        replace(
            one,
            nodes=one.nodes and frozenset(map(new.__getitem__, one.nodes)),
            current=tuple(map(new.__getitem__, one.current)),
        )
        for one in world.asks
    ]
    expected = {
        name: tuple(map(new.__getitem__, nodes)) for name, nodes in world.placed().places.items()
    }
    assert place(rooms, asks).places == expected


def test_of_equal_nodes_the_one_that_is_given_first_is_taken() -> None:
    rooms = (Room("b", 8), Room("a", 8))
    assert places(rooms, ask("m.0", 1)) == {"m.0": "b"}


def test_of_equal_replicas_the_one_with_the_lower_number_is_placed() -> None:
    asks = [ask(f"m.{number}", 1) for number in (10, 9)]
    assert places(rooms_of(1), *asks) == {"m.9": "n0"}


def test_another_process_gives_the_same() -> None:
    program = (
        "from tests.cluster.placements import seeded_world\n"
        "print([sorted(seeded_world(n, 6, 12).placed().places.items()) for n in range(100)])"
    )
    said = {
        subprocess.check_output(
            [sys.executable, "-c", program], env=os.environ | {"PYTHONHASHSEED": seed}
        )
        for seed in ("1", "2")
    }
    assert len(said) == 1


# Rule 4


@given(worlds(priorities=2, runs=True))
def test_what_has_no_place_fits_nowhere_in_what_is_left_free(world: World) -> None:
    placement = world.placed()
    free = free_room(world, placement.places)
    for one in world.asks:
        if one.replica in placement.unplaced:
            assert not any(ways(one, free))


def test_newcomers_go_elsewhere_for_one_that_may_use_one_node_only() -> None:
    rooms, only_first = rooms_of(2, 3), frozenset({"n0"})
    assert places(rooms, ask("a.0", 2), Ask("b.0", "b", 2, 1, nodes=only_first)) == {
        "a.0": "n1",
        "b.0": "n0",
    }


def test_a_running_replica_moves_when_another_cannot_be_placed_otherwise() -> None:
    rooms = rooms_of(8, 8)
    runs = [ask("a.0", 1, at="n0"), ask("a.1", 2, at="n1"), ask("b.0", 4, at="n1")]
    assert places(rooms, *runs, ask("c.0", 8)) == {
        "a.0": "n1",
        "a.1": "n1",
        "b.0": "n1",
        "c.0": "n0",
    }


def test_in_many_nodes_too_room_is_made_with_as_little_as_can_move() -> None:
    rooms = rooms_of(*[8] * 40)
    runs = [ask(f"a.{node}", 3 if node == 30 else 5, at=f"n{node}") for node in range(40)]
    placed = place(rooms, [*runs, ask("b.0", 3, at="n0"), ask("c.0", 8)]).places
    assert moved(runs, placed) == ["a.30"]
    assert placed["c.0"] == ("n30",)


def test_room_is_made_for_stages_on_several_nodes_among_many() -> None:
    rooms = rooms_of(*[8] * 12)
    runs = [ask(f"a.{node}", 1, at=f"n{node}") for node in range(12)]
    placement = place(rooms, [*runs, Ask("b.0", "b", 8, 2, spread=True)])
    assert not placement.unplaced
    assert len(moved(runs, placement.places)) == 2


def test_a_search_that_could_take_forever_is_given_up() -> None:
    rooms = rooms_of(*[8] * 40)
    runs = [ask(f"a.{node}", 6, at=f"n{node}") for node in range(40)]
    huge = Ask("b.0", "b", 8, 20, spread=True)
    placement = place(rooms, [*runs, huge])
    assert set(placement.unplaced) == {"b.0"}
    assert moved(runs, placement.places) == []


# Rule 5


@given(worlds(priorities=3, runs=True))
def test_placing_again_changes_nothing(world: World) -> None:
    placement = world.placed()
    assert place(world.rooms, running(world.asks, placement.places)) == placement


@given(worlds(), st.data())
def test_without_one_of_them_the_others_stay(world: World, data: st.DataObject) -> None:
    runs = _all_run(world)
    assume(runs)
    gone = data.draw(st.sampled_from(runs))
    left = [one for one in runs if one is not gone]
    assert moved(left, place(world.rooms, left).places) == []


@given(worlds(), st.data())
def test_nothing_moves_for_one_that_fits_into_free_room(world: World, data: st.DataObject) -> None:
    runs = _all_run(world)
    world = World((*world.rooms, Room("extra", 3)), tuple(runs))
    free = free_room(world, {one.replica: one.current for one in runs})
    new = ask("new.0", data.draw(st.integers(1, max(free.values()))))
    placement = place(world.rooms, [*runs, new])
    assert moved(runs, placement.places) == []
    assert not placement.unplaced


@given(worlds(), st.integers(1, 8), st.integers(0, 4))
def test_nothing_moves_to_a_new_node(world: World, accelerators: int, at: int) -> None:
    rooms = [*world.rooms[:at], Room("new", accelerators), *world.rooms[at:]]
    runs = _all_run(world)
    assert moved(runs, place(rooms, runs).places) == []


@given(worlds())
def test_when_a_node_is_gone_others_move_only_if_its_replicas_find_no_free_room(
    world: World,
) -> None:
    runs = _all_run(world)
    rooms = world.rooms[1:]
    lost = [one for one in runs if world.rooms[0].node in one.current]
    staying = [one for one in runs if one not in lost]
    kept = place(rooms, [*staying, *(replace(one, current=()) for one in lost)])
    placement = place(rooms, runs)
    assert placement == kept
    if moved(staying, placement.places):
        assert set(placement.places) > {one.replica for one in staying}


@given(worlds(priorities=1, runs=True))
def test_a_running_replica_is_not_stopped_for_an_equal(world: World) -> None:
    kept = running(world.asks, _homes(world))
    placement = place(world.rooms, kept)
    assert {one.replica for one in kept if one.current} <= set(placement.places)


@given(worlds(), worlds())
def test_what_is_less_important_touches_nothing(world: World, other: World) -> None:
    runs = running(world.asks, world.placed().places)
    less = [replace(one, replica=f"less-{one.replica}", priority=1) for one in other.asks]
    assert moved(runs, place(world.rooms, [*runs, *less]).places) == []


def test_a_replica_whose_place_is_wrong_by_now_is_placed_anew() -> None:
    rooms = rooms_of(8, 2)
    asks = [
        ask("gone.0", 1, at="n7"),
        ask("grown.0", 1, 2, at="n0"),
        Ask("barred.0", "barred", 1, 1, nodes=frozenset({"n1"}), current=("n0",)),
        Ask("apart.0", "apart", 1, 2, spread=True, current=("n0", "n0")),
    ]
    assert places(rooms, *asks) == {
        "gone.0": "n0",
        "grown.0": "n0 n0",
        "barred.0": "n1",
        "apart.0": "n1 n0",
    }


def test_of_too_many_on_a_node_the_important_and_then_the_large_stay() -> None:
    asks = [ask("a.0", 2, at="n0"), ask("b.0", 4, at="n0"), ask("c.0", 3, at="n0", priority=-1)]
    assert places(rooms_of(7, 8), *asks) == {"a.0": "n1", "b.0": "n0", "c.0": "n0"}


def test_stages_that_run_apart_stay_apart() -> None:
    assert places(rooms_of(8, 8), ask("m.0", 2, 2, at="n1 n0")) == {"m.0": "n1 n0"}


# Rule 6


def test_nodes_in_use_are_filled_first_and_the_tightest_fit_before_others() -> None:
    runs = [ask("a.0", 2, at="n1"), ask("b.0", 5, at="n2")]
    assert places(rooms_of(8, 8, 8, 3), *runs, ask("c.0", 3))["c.0"] == "n2"
    assert places(rooms_of(8, 8, 8, 3), *runs, ask("c.0", 4))["c.0"] == "n1"
    assert places(rooms_of(8, 8, 8, 3), *runs, ask("c.0", 7))["c.0"] == "n0"


def test_small_ones_leave_whole_nodes_to_large_ones() -> None:
    small = [ask(f"a.{number}", 1) for number in range(8)]
    placed = places(rooms_of(8, 8, 8), *small, ask("b.0", 8), ask("c.0", 8))
    assert Counter(placed.values()) == {"n0": 1, "n1": 1, "n2": 8}


@pytest.mark.parametrize("size", [1, 2, 4])
def test_replicas_of_a_model_are_apart_when_other_models_can_take_their_place(size: int) -> None:
    count = 8 // size
    models = "abcdefgh"[:count]
    asks = [ask(f"{model}.{number}", size) for model in models for number in range(count)]
    placed = places(rooms_of(*[8] * count), *asks)
    for model in models:
        assert len({placed[f"{model}.{number}"] for number in range(count)}) == count


def test_but_no_other_node_is_opened_for_that() -> None:
    assert places(rooms_of(8, 8), ask("m.0", 4), ask("m.1", 4)) == {"m.0": "n0", "m.1": "n0"}


def test_nor_is_room_left_in_smaller_pieces() -> None:
    runs = [ask("a.0", 4, at="n0"), ask("b.0", 2, at="n1"), ask("m.0", 1, at="n0")]
    assert places(rooms_of(8, 8), *runs, ask("m.1", 1))["m.1"] == "n0"


@given(worlds())
def test_no_move_or_swap_of_equals_takes_replicas_of_a_model_apart(world: World) -> None:
    asks = tuple(replace(one, pipeline=1) for one in world.asks)
    fits = place(world.rooms, asks).places
    world = World(world.rooms, tuple(one for one in asks if one.replica in fits))
    placement = world.placed()
    node_of = {replica: nodes[0] for replica, nodes in placement.places.items()}
    models = {
        room.node: Counter(one.model for one in world.asks if node_of[one.replica] == room.node)
        for room in world.rooms
    }
    free = free_room(world, placement.places)

    def would_be_alone(one: Ask, node: str) -> bool:
        return one.may_use(node) and not models[node][one.model]

    for one in world.asks:
        home = node_of[one.replica]
        if models[home][one.model] > 1:
            for node in free:
                same = models[node] and free[node] == free[home] + one.tensor
                assert not (same and would_be_alone(one, node))
            for other in world.asks:
                if other.tensor == one.tensor:
                    assert not would_be_alone(one, node_of[other.replica]) or not would_be_alone(
                        other, home
                    )


# Rule 7


def test_the_more_important_is_placed_when_not_all_fit() -> None:
    asks = [ask("a.0", 5, priority=1), ask("b.0", 4), ask("c.0", 3, priority=1)]
    assert set(places(rooms_of(8), *asks)) == {"b.0", "c.0"}


def test_when_all_fit_size_and_not_priority_decides_the_order() -> None:
    asks = [ask("a.0", 3), ask("a.1", 3), ask("b.0", 5, priority=1), ask("b.1", 5, priority=1)]
    assert not place(rooms_of(8, 8), asks).unplaced


def test_a_running_replica_moves_rather_than_stops_for_a_more_important_one() -> None:
    asks = [ask("a.0", 2, at="n0", priority=1), ask("b.0", 8)]
    assert places(rooms_of(8, 2), *asks) == {"a.0": "n1", "b.0": "n0"}


@pytest.mark.parametrize("more", [0, 20])
def test_the_least_important_stop_and_no_more_of_them_than_needed(more: int) -> None:
    rooms = rooms_of(8, 8, *[8] * more)
    full = [ask(f"full.{node}", 8, at=f"n{node + 2}") for node in range(more)]
    runs = [
        ask("a.0", 4, at="n0", priority=1),
        ask("b.0", 4, at="n0", priority=2),
        ask("c.0", 6, at="n1", priority=2),
        ask("d.0", 2, at="n1", priority=1),
    ]
    placement = place(rooms, [*full, *runs, ask("e.0", 4)])
    assert set(placement.unplaced) == {"b.0"}
    assert moved([*full, *runs], placement.places) == ["b.0"]


def test_a_more_important_replica_never_moves_for_a_less_important_one() -> None:
    asks = [ask("a.0", 2, at="n0"), ask("b.0", 8, priority=1)]
    assert places(rooms_of(8, 2), *asks) == {"a.0": "n0"}


# Reasons


def test_a_reason_names_the_allowed_nodes_when_none_of_them_is_there() -> None:
    lost = Ask("m.0", "m", 1, 1, nodes=frozenset({"x", "y"}))
    assert reason(rooms_of(8), lost) == "none of the nodes that can hold it is there: x, y"
    barred = replace(lost, nodes=frozenset())
    assert reason(rooms_of(8), barred) == "no node can hold it"
    assert reason((), ask("m.0", 1)) == "there is no node"


def test_a_reason_says_when_no_node_is_that_large() -> None:
    assert reason(rooms_of(4, 6), ask("m.0", 8)) == (
        "needs 8 accelerators on one node; even empty, the most that any node has is 6 (n1)"
    )
    assert reason(rooms_of(8, 8), ask("m.0", 8, 3)) == (
        "needs 3 stages of 8 accelerators, each stage on one node; "
        "even empty, the nodes have room for 2 of them"
    )
    assert reason(rooms_of(8), Ask("m.0", "m", 1, 2, spread=True)) == (
        "needs 2 stages of 1 accelerator, each stage on a node of its own; "
        "even empty, the nodes have room for 1 of them"
    )


def test_a_reason_says_when_there_is_enough_in_all_but_not_together() -> None:
    runs = [ask("a.0", 6, at="n0"), ask("b.0", 5, at="n1")]
    assert reason(rooms_of(8, 8), *runs, ask("m.0", 4)) == (
        "needs 4 free accelerators on one node; the most that any node has free is 3 (n1); "
        "5 are free in all, but not together"
    )
    runs = [ask("a.0", 7, at="n0"), ask("b.0", 5, at="n1")]
    assert reason(rooms_of(8, 8), *runs, ask("m.0", 2, 2)) == (
        "needs 2 stages of 2 free accelerators, each stage on one node; "
        "the nodes have room for 1 of them; 4 are free in all, but not together"
    )


def test_a_reason_says_when_there_is_not_enough_in_all() -> None:
    runs = [ask("a.0", 6, at="n0"), ask("b.0", 5, at="n1")]
    only_first = Ask("m.0", "m", 4, 1, nodes=frozenset({"n0"}))
    assert reason(rooms_of(8, 8), *runs, only_first) == (
        "needs 4 accelerators in all; 2 are free on the nodes that can hold it"
    )


# What is no question


def test_names_that_are_not_unique_are_refused() -> None:
    with pytest.raises(ValueError, match=r"replica m\.0"):
        place(rooms_of(8), [ask("m.0", 1), ask("m.0", 1)])
    with pytest.raises(ValueError, match="node n0"):
        place((*rooms_of(8), *rooms_of(8)), [])


def test_shapes_and_rooms_without_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="0 x 1"):
        ask("m.0", 0)
    with pytest.raises(ValueError, match="-1 accelerators"):
        Room("n0", -1)


def _needlessly_apart(world: World) -> list[str]:
    """Replicas on more nodes than what the others leave free would make necessary."""
    placed = world.placed().places
    apart = []
    for one in world.asks:
        if one.replica in placed and not one.spread:
            others = {name: nodes for name, nodes in placed.items() if name != one.replica}
            fewest = min(len(set(nodes)) for nodes in ways(one, free_room(world, others)))
            if len(set(placed[one.replica])) > fewest:
                apart.append(one.replica)
    return apart


def _homes(world: World) -> dict[str, tuple[str, ...]]:
    """Where those run that can stay."""
    free, homes = free_room(world, {}), dict[str, tuple[str, ...]]()
    for one in world.asks:
        if sorted(one.current) in [sorted(nodes) for nodes in ways(one, free)]:
            homes[one.replica] = one.current
            for node in one.current:
                free[node] -= one.tensor
    return homes


def _all_run(world: World) -> list[Ask]:
    """Those that have a place, running there."""
    placed: Placement = world.placed()
    return [one for one in running(world.asks, placed.places) if one.current]
