"""Best fit decreasing: the place of one ask in free room, and the order in which many are put.
Pure.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice

from cluster.placing.ask import Ask
from cluster.placing.board import Board, Nodes

Hardness = tuple[int, int, int]


def choose(board: Board, ask: Ask) -> Nodes | None:
    """The best place in free room: stages together, else on as few nodes as possible."""
    if ask.spread:
        nodes = tuple(islice(board.candidates(ask, ask.tensor), ask.pipeline))
        return nodes if len(nodes) == ask.pipeline else None
    together = next(board.candidates(ask, ask.accelerators), None)
    if together is not None:
        return (together,) * ask.pipeline
    return _split(board, ask) if ask.pipeline > 1 else None


def _split(board: Board, ask: Ask) -> Nodes | None:
    """The roomiest nodes first, which makes them few; what is left goes where it fits best."""
    by_preference = list(board.candidates(ask, ask.tensor))
    holds = {node: board.free[node] // ask.tensor for node in by_preference}
    if sum(holds.values()) < ask.pipeline:
        return None
    roomiest = iter(sorted(by_preference, key=lambda node: -holds[node]))
    nodes: Nodes = ()
    while len(nodes) < ask.pipeline:
        left = ask.pipeline - len(nodes)
        rest = next((n for n in by_preference if holds[n] >= left and n not in nodes), None)
        node = next(roomiest) if rest is None else rest
        nodes += (node,) * min(left, holds[node])
    return nodes


def hardness(board: Board, ask: Ask) -> Hardness:
    """What needs the largest piece of one node comes first, then what needs more in all, then what
    has fewer nodes to choose from.
    """
    reach = board.reach(ask)
    is_block = not ask.spread and ask.accelerators <= reach.largest
    block = ask.accelerators if is_block else ask.tensor
    return -block, -ask.accelerators, len(reach.nodes)


def in_order(board: Board, asks: Iterable[Ask]) -> list[Ask]:
    """The hardest first. Models take turns, so that the replicas of one do not fill one node."""
    turns: Counter[str] = Counter()
    keys = {}
    for ask in sorted(asks, key=lambda ask: ask.natural_name):
        keys[ask.replica] = (hardness(board, ask), turns[ask.model], ask)
        turns[ask.model] += 1
    return [ask for _, _, ask in sorted(keys.values(), key=lambda key: (key[0], key[1]))]


def pack(board: Board, asks: Iterable[Ask], homes: Mapping[str, Nodes]) -> list[Ask]:
    """Puts what fits into free room, in the given order, at home if possible; returns the rest."""
    left = []
    full: set[object] = set()
    for ask in asks:
        home = homes.get(ask.replica)
        if ask.shape in full:
            nodes = None
        else:
            nodes = home if home and board.fits(ask, home) else choose(board, ask)
        if nodes is None:
            full.add(ask.shape)
            left.append(ask)
        else:
            board.put(ask, nodes)
    return left
