"""What may be done to others for asks of one priority, and what it costs. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster.placing.ask import Ask
from cluster.placing.board import Board, Nodes

#: Losses are in accelerators that move. One that is stopped for a more important ask weighs more
#: than all that could move, one that is left out more than all that could be stopped.
STOPPED = 1 << 20
LEFT_OUT = 1 << 40


@dataclass(frozen=True, slots=True)
class Rights:
    """For asks of this priority."""

    priority: int
    #: Where replicas run.
    homes: Mapping[str, Nodes]
    may_move: bool = False
    #: Running replicas of this priority and less important ones may be stopped.
    may_stop_from: int | None = None

    def may_stop(self, ask: Ask) -> bool:
        return self.may_stop_from is not None and ask.priority >= self.may_stop_from

    def may_lift(self, ask: Ask) -> bool:
        is_running = ask.replica in self.homes
        return not is_running or (self.may_move and ask.priority >= self.priority)

    def omit_loss(self, ask: Ask) -> int | None:
        """What it costs to take it off the board, by accelerator; None: it may not be."""
        if self.may_stop(ask):
            return STOPPED
        is_equal = ask.priority == self.priority and ask.replica not in self.homes
        return LEFT_OUT if is_equal else None

    def move_loss(self, ask: Ask, nodes: Nodes) -> int:
        """What it costs that it is there."""
        return ask.accelerators if self.homes.get(ask.replica, nodes) != nodes else 0

    def liftable(self, board: Board, group: Sequence[int]) -> list[Ask]:
        """What may be lifted of that which is on these nodes and on no other."""
        residents = {name: ask for node in group for name, ask in board.residents[node].items()}
        inside = set(group)
        return [
            ask
            for name, ask in residents.items()
            if self.may_lift(ask) and inside.issuperset(board.places[name])
        ]
