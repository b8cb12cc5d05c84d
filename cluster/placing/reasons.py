"""Why an ask has no place, with the arithmetic. Pure."""

from collections.abc import Sequence

from cluster.placing.ask import Ask
from cluster.placing.board import Board


def is_possible(board: Board, ask: Ask) -> bool:
    """Whether it would fit if all nodes were empty."""
    return _stages(board, ask, board.total) >= ask.pipeline


def why(board: Board, ask: Ask) -> str:
    """What it needs and what there is: the first of the reasons that holds."""
    nodes = board.reach(ask).nodes
    if not nodes:
        return _no_node(board, ask)
    if not is_possible(board, ask):
        return f"needs {_need(ask)}; even empty, {_most(board, ask, board.total, 'has')}"
    free = sum(board.free[node] for node in nodes)
    if free < ask.accelerators:
        need = _count(ask.accelerators)
        return f"needs {need} in all; {free} are free on the nodes that can hold it"
    most = _most(board, ask, board.free, "has free")
    return f"needs {_need(ask, 'free ')}; {most}; {free} are free in all, but not together"


def _no_node(board: Board, ask: Ask) -> str:
    if not board.names:
        return "there is no node"
    if not ask.nodes:
        return "no node can hold it"
    return f"none of the nodes that can hold it is there: {', '.join(sorted(ask.nodes))}"


def _need(ask: Ask, free: str = "") -> str:
    if ask.pipeline == 1:
        return f"{_count(ask.tensor, free)} on one node"
    apart = "a node of its own" if ask.spread else "one node"
    return f"{ask.pipeline} stages of {_count(ask.tensor, free)}, each stage on {apart}"


def _count(accelerators: int, free: str = "") -> str:
    return f"{accelerators} {free}accelerator{'s' if accelerators > 1 else ''}"


def _most(board: Board, ask: Ask, rooms: Sequence[int], has: str) -> str:
    most = max(board.reach(ask).nodes, key=lambda node: rooms[node])
    if rooms[most] < ask.tensor:
        return f"the most that any node {has} is {rooms[most]} ({board.names[most]})"
    return f"the nodes have room for {_stages(board, ask, rooms)} of them"


def _stages(board: Board, ask: Ask, rooms: Sequence[int]) -> int:
    """How many of its stages those rooms hold."""
    stages = (rooms[node] // ask.tensor for node in board.reach(ask).nodes)
    return sum(min(count, 1) for count in stages) if ask.spread else sum(stages)
