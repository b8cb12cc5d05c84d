"""Puts replicas of many models onto nodes. Pure.

Rules
1. No node holds more accelerators than it has. A stage is on one node, a replica only on nodes it
   may use or, where it may stay, as a whole where it runs; the stages of one with `spread` are on
   different nodes. Every ask has a place or a reason.
2. Stages of one replica are together on one node when one has room for them, else on as few nodes
   as possible.
3. The same input gives the same value. The order of the asks does not matter: what ties is taken by
   model, then by the replica's number. The order of the rooms breaks ties between nodes: the
   earlier one is taken. The names of the nodes do not matter.
4. What has no place fits nowhere in what is left free, and within a bounded number of steps no way
   was found to move others for it: first replicas that do not run yet, then running ones.
5. A running replica stays where it is, unless that keeps an ask of the same or a higher priority
   from a place; then as few accelerators move as the search finds. Placing again with every place
   as `current` changes nothing. One whose node is gone or too full by now does not count as
   running.
6. Whole nodes stay free for large models: nodes in use are filled first, the tightest fit before
   others. Replicas of one model go to different nodes where that leaves the same free room and
   opens no other node.
7. When not all fit, a lower number of priority comes first, and a running replica is stopped for it
   if moving does not help. Among equals running replicas stay, and of the others those are placed
   that fill most accelerators.

How it works: everything that runs is kept. The rest is packed, the hardest first, best fit
(`packing`); when all fit, priorities do not matter. Otherwise it is packed priority by priority,
and what is left over is a case for `repair`: it takes a few nodes, lifts what may be
moved, and searches for the best way to put it all back (`repacking`). What is new is made tidy at
the end (`tidying`). As long as something is left over, all of this is done again as if everything
placed were running, until nothing changes: that makes rule 5 hold by construction.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cluster.placing.ask import Ask, Room, require_unique
from cluster.placing.board import Board, Nodes
from cluster.placing.packing import in_order, pack
from cluster.placing.reasons import is_possible, why
from cluster.placing.repacking import Steps
from cluster.placing.repair import ALL_STEPS, Repair
from cluster.placing.rights import Rights
from cluster.placing.tidying import tidy

__all__ = ["Ask", "Placement", "Room", "place"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where everything goes; what goes nowhere, and why."""

    #: The node of each stage, in stage order.
    places: Mapping[str, tuple[str, ...]]
    unplaced: Mapping[str, str]


def place(rooms: Sequence[Room], asks: Sequence[Ask]) -> Placement:
    """A place or a reason for every ask."""
    require_unique(rooms, asks)
    running: Mapping[str, tuple[str, ...]] = _still_right(rooms, asks)
    if len(running) == len(asks):
        return Placement({ask.replica: ask.current for ask in asks}, {})
    newcomers = [ask for ask in asks if ask.replica not in running]
    board = _settled(rooms, asks, running)
    while True:
        tidy(board, in_order(board, newcomers))
        places = board.named()
        if len(places) == len(asks) or places == running:
            return _placement(board, asks, places)
        running = places
        board = _settled(rooms, asks, running)


def _still_right(rooms: Sequence[Room], asks: Sequence[Ask]) -> dict[str, tuple[str, ...]]:
    """Where those run that can stay; of too many on one node the most important, largest ones."""
    room = {room.node: room.accelerators for room in rooms}
    runs = [ask for ask in asks if ask.current and _could_run(ask, room)]
    kept = _kept(runs, dict(room))
    if len(kept) == len(runs):
        return kept
    runs.sort(key=lambda ask: (ask.priority, -ask.accelerators, ask.natural_name))
    return _kept(runs, room)


def _could_run(ask: Ask, room: Mapping[str, int]) -> bool:
    """Whether these places are of the shape that is asked for, on nodes that are there."""
    if len(ask.current) != ask.pipeline or (ask.spread and len(set(ask.current)) < ask.pipeline):
        return False
    return all(node in room and (ask.may_stay or ask.may_use(node)) for node in ask.current)


def _kept(runs: Iterable[Ask], room: dict[str, int]) -> dict[str, tuple[str, ...]]:
    kept = {}
    for ask in runs:
        if all(room[node] >= ask.tensor * ask.current.count(node) for node in ask.current):
            kept[ask.replica] = ask.current
            for node in ask.current:
                room[node] -= ask.tensor
    return kept


def _settled(
    rooms: Sequence[Room], asks: Sequence[Ask], running: Mapping[str, tuple[str, ...]]
) -> Board:
    """Keeps what runs, packs the rest, makes room for what is left over."""
    board = Board(rooms)
    number = {room.node: at for at, room in enumerate(rooms)}
    homes = {replica: tuple(number[node] for node in nodes) for replica, nodes in running.items()}
    for ask in asks:
        if ask.replica in homes:
            board.put(ask, homes[ask.replica])
    possible = _possible(board, asks)
    newcomers = [ask for ask in possible if ask.replica not in homes]
    if pack(board, in_order(board, newcomers), homes):
        for ask in newcomers:
            if ask.replica in board.places:
                board.lift(ask)
        _settle_by_priority(board, possible, homes)
    return board


def _possible(board: Board, asks: Sequence[Ask]) -> list[Ask]:
    shapes = {ask.shape: ask for ask in asks}
    possible = {shape for shape, ask in shapes.items() if is_possible(board, ask)}
    return [ask for ask in asks if ask.shape in possible]


def _settle_by_priority(board: Board, asks: Sequence[Ask], homes: Mapping[str, Nodes]) -> None:
    steps = Steps(ALL_STEPS)
    for priority in sorted({ask.priority for ask in asks}):
        waiting = [
            ask for ask in asks if ask.priority == priority and ask.replica not in board.places
        ]
        left = pack(board, _stopped_first(in_order(board, waiting), homes), homes)
        for rights in _escalation(asks, homes, priority):
            left = left and Repair(board, rights, steps).make_room(left)
        pack(board, in_order(board, left), homes)


def _stopped_first(asks: Iterable[Ask], homes: Mapping[str, Nodes]) -> list[Ask]:
    """Those that ran until a more important ask took their place."""
    return sorted(asks, key=lambda ask: ask.replica not in homes)


def _escalation(asks: Iterable[Ask], homes: Mapping[str, Nodes], priority: int) -> Iterator[Rights]:
    """What may be done for a priority, the mildest first."""
    yield Rights(priority, homes)
    running = {ask.priority for ask in asks if ask.replica in homes and ask.priority >= priority}
    if running:
        yield Rights(priority, homes, may_move=True)
    for stopped in sorted(running - {priority}, reverse=True):
        yield Rights(priority, homes, may_move=True, may_stop_from=stopped)


def _placement(
    board: Board, asks: Iterable[Ask], places: Mapping[str, tuple[str, ...]]
) -> Placement:
    unplaced = [ask for ask in asks if ask.replica not in places]
    reasons = {shape: why(board, ask) for shape, ask in {a.shape: a for a in unplaced}.items()}
    return Placement(places, {ask.replica: reasons[ask.shape] for ask in unplaced})
