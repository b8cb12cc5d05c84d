"""How long placement takes and how well it packs, beside the simplest thing that could do it: each
stage on the first node with room, in the order of the fleet.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from rich.console import Console

from cluster.placement import Ask, Placement, Room, place
from ops.bench.stats import ratio, spread
from ops.bench.table import Table

ACCELERATORS = 8
MODELS = 40
#: tensor x pipeline, as often as a fleet has them: many small models, few that need a node or two.
EVEN = ((1, 1),) * 8 + ((2, 1),) * 6 + ((4, 1),) * 5 + ((8, 1),) * 3 + ((4, 2), (8, 2))
UNEVEN = (*EVEN, (3, 1), (3, 1), (5, 1), (5, 1), (6, 1), (6, 1), (2, 3), (3, 4), (5, 2))
ROUNDS = 9

Shape = tuple[int, int]
Placer = Callable[[Sequence[Room], Sequence[Ask]], Placement]


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    rooms: Sequence[Room]
    asks: Sequence[Ask]


def first_fit(rooms: Sequence[Room], asks: Sequence[Ask]) -> Placement:
    """The rival: what runs stays, the rest goes where it fits first, nothing is moved."""
    free = {room.node: room.accelerators for room in rooms}
    places = {ask.replica: ask.current for ask in asks if ask.current}
    for ask in asks:
        for node in ask.current:
            free[node] -= ask.tensor
    for ask in asks:
        if not ask.current and (nodes := _first_nodes(free, ask)):
            places[ask.replica] = nodes
            for node in nodes:
                free[node] -= ask.tensor
    return Placement(places, {ask.replica: "" for ask in asks if ask.replica not in places})


def _first_nodes(free: dict[str, int], ask: Ask) -> tuple[str, ...]:
    nodes: tuple[str, ...] = ()
    for node, room in free.items():
        nodes += (node,) * min(room // ask.tensor, ask.pipeline - len(nodes))
        if len(nodes) == ask.pipeline:
            return nodes
    return ()


def fleet(nodes: int, share: float, shapes: Sequence[Shape], seed: int) -> list[Ask]:
    """Replicas of many models, model by model, that ask for that share of all accelerators."""
    dice = random.Random(seed)  # noqa: S311
    models = {f"model-{n}": dice.choice(shapes) for n in range(MODELS)}
    replicas: Counter[str] = Counter()
    left = int(nodes * ACCELERATORS * share)
    while left > 0:
        model = dice.choice(list(models))
        replicas[model] += 1
        left -= models[model][0] * models[model][1]
    return [
        Ask(f"{model}.{number}", model, *shape)
        for model, shape in models.items()
        for number in range(replicas[model])
    ]


def running(rooms: Sequence[Room], asks: Sequence[Ask]) -> list[Ask]:
    """Those that have a place run there."""
    places = place(rooms, asks).places
    return [replace(ask, current=places.get(ask.replica, ())) for ask in asks]


def without_waiting(asks: Iterable[Ask]) -> list[Ask]:
    return [ask for ask in asks if ask.current]


def cases(nodes: int) -> list[Case]:
    rooms = [Room(f"node-{number}", ACCELERATORS) for number in range(nodes)]
    full, uneven = fleet(nodes, 0.97, EVEN, seed=1), fleet(nodes, 0.97, UNEVEN, seed=2)
    over = fleet(nodes, 1.05, UNEVEN, seed=3)
    runs = without_waiting(running(rooms, uneven))
    scattered = _thinned(without_waiting(running(rooms, fleet(nodes, 1.0, EVEN, seed=4))))
    small, large = Ask("new.0", "new", 1, 1), Ask("new.0", "new", ACCELERATORS, 1)
    return [
        Case("from nothing, 97 % asked, powers of two", rooms, full),
        Case("from nothing, 97 % asked, any sizes", rooms, uneven),
        Case("from nothing, 105 % asked, any sizes", rooms, over),
        Case("no change", rooms, runs),
        Case("no change, not all have a place", rooms, running(rooms, over)),
        Case("one more, fits", rooms, [*runs, small]),
        Case("one more, needs a node made free", rooms, [*scattered, large]),
    ]


def _thinned(asks: Iterable[Ask]) -> list[Ask]:
    """Without every tenth of the small ones: free room, but no whole node."""
    small = (ask.replica for ask in asks if ask.accelerators <= 2)
    gone = set(list(small)[::10])
    return [ask for ask in asks if ask.replica not in gone]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one case with one placer."""

    seconds: float
    placed: int
    whole_nodes: int
    moved: int


def measure(case: Case, placer: Placer) -> Outcome:
    """The median of the rounds."""
    seconds = [_timed(case, placer) for _ in range(ROUNDS)]
    placement = placer(case.rooms, case.asks)
    placed = [ask for ask in case.asks if ask.replica in placement.places]
    in_use = {node for nodes in placement.places.values() for node in nodes}
    moved = [a for a in placed if a.current and placement.places[a.replica] != a.current]
    return Outcome(
        seconds=spread(seconds).median,
        placed=sum(ask.accelerators for ask in placed),
        whole_nodes=len(case.rooms) - len(in_use),
        moved=sum(ask.accelerators for ask in moved),
    )


def _timed(case: Case, placer: Placer) -> float:
    began = time.perf_counter()
    placer(case.rooms, case.asks)
    return time.perf_counter() - began


def row(case: Case) -> tuple[str, ...]:
    ours, naive = measure(case, place), measure(case, first_fit)
    return (
        f"{len(case.rooms)} nodes, {case.name}",
        f"{sum(ask.accelerators for ask in case.asks)}",
        f"{ours.seconds * 1000:.2f}",
        f"{naive.seconds * 1000:.2f}",
        f"{ratio(ours.seconds, naive.seconds):.1f}",
        f"{ours.placed}",
        f"{naive.placed}",
        f"{ours.whole_nodes}",
        f"{naive.whole_nodes}",
        f"{ours.moved}",
    )


def main() -> None:
    """`python -m ops.bench.placement`"""
    headers = (
        "case",
        "asked",
        "ms",
        "first fit ms",
        "times as long",
        "placed",
        "first fit placed",
        "nodes free",
        "first fit nodes free",
        "moved",
    )
    rows = tuple(row(case) for nodes in (64, 1000) for case in cases(nodes))
    title = f"Placement, accelerators, medians of {ROUNDS}"
    Console(width=160).print(Table(title, headers, rows).rich())


if __name__ == "__main__":
    main()
