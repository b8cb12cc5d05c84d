"""Worlds to place in, what any placement of them must keep, and the best there is, sought without
the code under test.
"""

import random
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, combinations_with_replacement

from hypothesis import strategies as st

from cluster.placement import Ask, Placement, Room, place

Places = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class World:
    rooms: tuple[Room, ...]
    asks: tuple[Ask, ...]

    def placed(self) -> Placement:
        return place(self.rooms, self.asks)


def rooms_of(*accelerators: int) -> tuple[Room, ...]:
    return tuple(Room(f"n{number}", room) for number, room in enumerate(accelerators))


def ask(replica: str, tensor: int, pipeline: int = 1, at: str = "", priority: int = 0) -> Ask:
    """`at` names the nodes of its stages, as in "n0 n1"."""
    model = replica.partition(".")[0]
    return Ask(replica, model, tensor, pipeline, current=tuple(at.split()), priority=priority)


def running(asks: Sequence[Ask], places: Places) -> tuple[Ask, ...]:
    """The same asks, running at those places or not at all."""
    return tuple(replace(ask, current=places.get(ask.replica, ())) for ask in asks)


def free_room(world: World, places: Places) -> dict[str, int]:
    free = {room.node: room.accelerators for room in world.rooms}
    for one in world.asks:
        for node in places.get(one.replica, ()):
            free[node] -= one.tensor
    return free


def moved(asks: Sequence[Ask], places: Places) -> list[str]:
    """Replicas that ran and are elsewhere or nowhere."""
    return [one.replica for one in asks if one.current and places.get(one.replica) != one.current]


def accelerators(asks: Sequence[Ask], replicas: Collection[str]) -> int:
    return sum(one.accelerators for one in asks if one.replica in replicas)


def ways(one: Ask, free: Mapping[str, int]) -> Iterator[tuple[str, ...]]:
    """Every set of nodes that could hold its stages."""
    if _may_stay_only(one) and all(
        free.get(node, 0) >= one.tensor * one.current.count(node) for node in one.current
    ):
        yield one.current
    fitting = [node for node, room in free.items() if room >= one.tensor and one.may_use(node)]
    if one.spread:
        yield from combinations(fitting, one.pipeline)
        return
    for nodes in combinations_with_replacement(fitting, one.pipeline):
        counts = Counter(nodes)
        if all(free[node] >= one.tensor * count for node, count in counts.items()):
            yield nodes


def _may_stay_only(one: Ask) -> bool:
    """Whether it is where it could not go."""
    is_apart = not one.spread or len(set(one.current)) == one.pipeline
    return one.may_stay and is_apart and not all(map(one.may_use, one.current))


def shapes(most: int) -> st.SearchStrategy[tuple[int, int, bool]]:
    return st.tuples(st.integers(1, most), st.sampled_from([1, 1, 1, 2, 3]), st.booleans())


@st.composite
def worlds(
    draw: st.DrawFn, priorities: int = 1, *, runs: bool = False, most_asks: int = 9
) -> World:
    """Up to four nodes and a handful of asks; with `runs` some run at places that may be wrong."""
    rooms = rooms_of(*draw(st.lists(st.integers(1, 8), min_size=1, max_size=4)))
    names = [room.node for room in rooms]
    allowed = st.none() | st.frozensets(st.sampled_from([*names, "elsewhere"]))
    asks = []
    for number in range(draw(st.integers(0, most_asks))):
        tensor, pipeline, spread = draw(shapes(8))
        model = draw(st.sampled_from("abc"))
        nodes = draw(allowed)
        level = draw(st.integers(0, priorities - 1))
        asks.append(
            Ask(
                f"{model}.{number}",
                model,
                tensor,
                pipeline,
                spread,
                nodes,
                priority=level,
                may_stay=draw(st.booleans()),
            )
        )
    world = World(rooms, tuple(asks))
    return draw(some_running(world)) if runs else world


@st.composite
def some_running(draw: st.DrawFn, world: World) -> World:
    """Some run where they would be placed, some somewhere."""
    places = world.placed().places
    nodes = [*(room.node for room in world.rooms), "gone"]
    asks = []
    for one in world.asks:
        somewhere = st.tuples(*[st.sampled_from(nodes)] * one.pipeline)
        home = st.just(places.get(one.replica, ()))
        asks.append(replace(one, current=draw(st.just(()) | home | home | somewhere)))
    return World(world.rooms, tuple(asks))


def seeded_world(seed: int, most_nodes: int, most_asks: int) -> World:
    """Like `worlds`, but many quickly; often a few models with many replicas each."""
    dice = random.Random(seed)  # noqa: S311
    rooms = rooms_of(
        *(dice.choice([8, dice.randint(1, 8)]) for _ in range(dice.randint(1, most_nodes)))
    )
    sizes = dice.choice([range(1, 9), (1, 2, 4, 8), (1, 2, 3, 5)])
    models = {}
    for model in "abcdefghijkl"[: dice.choice([3, 6, 12])]:
        nodes = frozenset(room.node for room in rooms if dice.random() < 0.6)
        models[model] = Ask(
            "",
            model,
            dice.choice(sizes),
            dice.choice([1, 1, 1, 2, 2, 3, 4]),
            dice.random() < 0.3,
            nodes if dice.random() < 0.3 else None,
        )
    drawn = [dice.choice(list(models)) for _ in range(dice.randint(1, most_asks))]
    asks = (replace(models[model], replica=f"{model}.{n}") for n, model in enumerate(drawn))
    return World(rooms, tuple(asks))
