"""Placement against the best there is, in worlds small enough to try everything."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.placement import Ask, place
from tests.cluster.placements import (
    World,
    accelerators,
    ask,
    free_room,
    moved,
    rooms_of,
    running,
    seeded_world,
    ways,
    worlds,
)

BLOCKS = 10
WORLDS_IN_A_BLOCK = 100


def optimum(world: World, reached: int) -> int:
    """The most accelerators that can be placed, not less than what was reached. Follows, ask by
    ask, all the free room that can be left behind, but for what cannot beat the best so far.
    """
    names = [room.node for room in world.rooms]
    total = sum(room.accelerators for room in world.rooms)
    asks = sorted(world.asks, key=lambda one: -one.tensor)
    states = {tuple(room.accelerators for room in world.rooms)}
    best = reached
    for at, one in enumerate(asks):
        states |= {after for free in states for after in _after(one, names, free)}
        best = max([best, *(total - sum(free) for free in states)])
        states = {free for free in states if total - sum(free) + _hope(asks[at + 1 :], free) > best}
    return best


def _after(one: Ask, names: Sequence[str], free: tuple[int, ...]) -> list[tuple[int, ...]]:
    """What each way to place it leaves free."""
    rooms = list(zip(names, free, strict=True))
    return [
        tuple(room - one.tensor * nodes.count(name) for name, room in rooms)
        for nodes in ways(one, dict(rooms))
    ]


def _hope(asks: Sequence[Ask], free: tuple[int, ...]) -> int:
    """No more than this of these asks fits in there."""
    smallest = min((one.tensor for one in asks), default=0)
    usable = sum(room for room in free if room >= smallest)
    return min(usable, sum(one.accelerators for one in asks if one.tensor <= max(free)))


def fewest_moves(world: World, homes: dict[str, tuple[str, ...]]) -> int | None:
    """Of all ways to place everything, the least accelerators that are not where they run."""

    def least(asks: Sequence[Ask], free: dict[str, int], below: int) -> int:
        if not asks or below <= 0:
            return 0 if below > 0 else below
        one = asks[0]
        for nodes in ways(one, free):
            home = homes.get(one.replica, ())
            cost = one.accelerators if home and sorted(home) != sorted(nodes) else 0
            left = {node: room - one.tensor * nodes.count(node) for node, room in free.items()}
            below = min(below, cost + least(asks[1:], left, below - cost))
        return below

    all_of_it = 1 + sum(one.accelerators for one in world.asks)
    found = least(world.asks, free_room(world, {}), all_of_it)
    return None if found == all_of_it else found


@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_way_to_place_more_exists(block: int) -> None:
    for seed in range(block * WORLDS_IN_A_BLOCK, (block + 1) * WORLDS_IN_A_BLOCK):
        world = seeded_world(seed, most_nodes=6, most_asks=12)
        placed = accelerators(world.asks, world.placed().places)
        assert placed == optimum(world, placed), f"seed {seed}"


@given(worlds())
def test_no_way_to_place_more_exists_in_any_small_world(world: World) -> None:
    placed = accelerators(world.asks, world.placed().places)
    assert placed == optimum(world, placed)


@given(worlds(most_asks=6), st.data())
def test_as_few_accelerators_move_as_can(world: World, data: st.DataObject) -> None:
    """Everything runs somewhere, however badly; one is new."""
    free, homes = free_room(world, {}), dict[str, tuple[str, ...]]()
    for one in world.asks[1:]:
        anywhere = replace(one, nodes=None)
        if places := list(ways(anywhere if one.may_stay else one, free)):
            homes[one.replica] = data.draw(st.sampled_from(places))
            for node in homes[one.replica]:
                free[node] -= one.tensor
    asks = [one for one in world.asks if one.replica in homes or one is world.asks[0]]
    world = World(world.rooms, running(asks, homes))
    placement = world.placed()
    fewest = fewest_moves(world, homes)
    assert (fewest is None) == bool(placement.unplaced)
    assert accelerators(asks, moved(world.asks, placement.places)) == (fewest or 0)


def test_two_that_fill_more_are_placed_rather_than_one_that_is_larger() -> None:
    asks = [ask("a.0", 5), ask("b.0", 4), ask("b.1", 4)]
    assert set(place(rooms_of(8), asks).places) == {"b.0", "b.1"}


def test_but_not_when_the_larger_one_runs() -> None:
    asks = [ask("a.0", 5, at="n0"), ask("b.0", 4), ask("b.1", 4)]
    assert set(place(rooms_of(8), asks).places) == {"a.0"}
