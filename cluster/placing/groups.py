"""Which nodes are put anew together to make room for an ask. Pure."""

from collections.abc import Iterator, Sequence

from cluster.placing.ask import Ask
from cluster.placing.board import Board
from cluster.placing.rights import Rights

#: Up to so many nodes are all put anew at once.
FEW_NODES = 8
#: Of more nodes a group is so many beyond those that the ask itself needs.
HELPERS = 5
#: Groups that are tried for one ask.
GROUPS = 8

Group = Sequence[int]


def groups(board: Board, ask: Ask, rights: Rights) -> Iterator[Group]:
    """Nodes where least has to go, each time with the roomiest of the others."""
    count = len(board.names)
    if count <= FEW_NODES:
        yield range(count)
        return
    room = [_room(board, node, rights) for node in range(count)]
    roomiest = sorted((node for node in range(count) if room[node]), key=lambda node: -room[node])
    large = (node for node in board.reach(ask).nodes if board.total[node] >= ask.tensor)
    targets = sorted(large, key=lambda node: -room[node])
    needed = _nodes_needed(board, ask)
    for first in range(min(GROUPS, len(targets) - needed + 1)):
        window = targets[first : first + needed]
        yield [*window, *_helpers(board, window, roomiest, rights)]


def _room(board: Board, node: int, rights: Rights) -> int:
    """What would be free if everything went that may be stopped."""
    stoppable = (ask for ask in board.residents[node].values() if rights.may_stop(ask))
    return board.free[node] + sum(
        ask.tensor * board.places[ask.replica].count(node) for ask in stoppable
    )


def _nodes_needed(board: Board, ask: Ask) -> int:
    stages = 1 if ask.spread else board.reach(ask).largest // ask.tensor
    return -(-ask.pipeline // stages)


def _helpers(board: Board, window: Group, roomiest: Group, rights: Rights) -> list[int]:
    """Those that something from the window may go to."""
    movable = rights.liftable(board, window)
    helpers: list[int] = []
    for node in roomiest:
        if len(helpers) == HELPERS:
            break
        if node not in window and any(ask.may_use(board.names[node]) for ask in movable):
            helpers.append(node)
    return helpers
