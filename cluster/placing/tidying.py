"""Improves places that cost nothing to change, because their replicas do not run yet. Pure."""

from collections.abc import Sequence

from cluster.placing.ask import Ask
from cluster.placing.board import Board
from cluster.placing.packing import choose

#: Replicas that are looked at to find one to change places with.
PARTNERS = 256


def tidy(board: Board, asks: Sequence[Ask]) -> None:
    """Takes replicas of one model apart, then brings stages of one replica together."""
    on_board = [ask for ask in asks if ask.replica in board.places]
    _separate(board, [ask for ask in on_board if len(set(board.places[ask.replica])) == 1])
    split = [ask for ask in on_board if not ask.spread and ask.pipeline > 1]
    while any([_gather(board, ask) for ask in split]):
        pass


def _gather(board: Board, ask: Ask) -> bool:
    before = board.lift(ask)
    after = choose(board, ask)
    is_better = after is not None and len(set(after)) < len(set(before))
    board.put(ask, after if after is not None and is_better else before)
    return is_better


def _separate(board: Board, asks: Sequence[Ask]) -> None:
    """Moves and swaps that leave the same free room, on the same number of nodes."""
    alike: dict[int, list[Ask]] = {}
    for ask in asks:
        alike.setdefault(ask.accelerators, []).append(ask)
    while any([_leave(board, ask, alike[ask.accelerators]) for ask in asks]):
        pass


def _leave(board: Board, ask: Ask, partners: Sequence[Ask]) -> bool:
    """Goes to where no other replica of its model is, if it is not alone."""
    if board.holds(board.places[ask.replica][0], ask.model) == 1:
        return False
    return _move(board, ask) or _swap(board, ask, partners)


def _move(board: Board, ask: Ask) -> bool:
    node = board.places[ask.replica][0]
    for other in board.used_with_free(board.free[node] + ask.accelerators):
        if other != node and _is_welcome(board, ask, other):
            board.lift(ask)
            board.put(ask, (other,) * ask.pipeline)
            return True
    return False


def _swap(board: Board, ask: Ask, partners: Sequence[Ask]) -> bool:
    node = board.places[ask.replica][0]
    for partner in partners[:PARTNERS]:
        other = board.places[partner.replica][0]
        if _is_welcome(board, ask, other) and _is_welcome(board, partner, node):
            board.lift(ask)
            board.lift(partner)
            board.put(ask, (other,) * ask.pipeline)
            board.put(partner, (node,) * partner.pipeline)
            return True
    return False


def _is_welcome(board: Board, ask: Ask, node: int) -> bool:
    return not board.holds(node, ask.model) and ask.may_use(board.names[node])
