"""What happens next. Pure: the clock is the time of whatever is happening.

Rules
1. Time never goes back.
2. Of what happens at the same moment, what was planned first happens first: the same input gives
   the same run.
"""

from collections.abc import Callable
from heapq import heappop, heappush

Happening = Callable[[], None]


class Agenda:
    """Everything that is planned to happen."""

    __slots__ = ("_order", "_planned", "now_s")

    def __init__(self) -> None:
        self.now_s = 0.0
        self._order = 0
        self._planned: list[tuple[float, int, Happening]] = []

    def at(self, when_s: float, happening: Happening) -> None:
        """Plans it. Raises ValueError for a moment that has passed."""
        if when_s < self.now_s:
            raise ValueError(f"{when_s} s has passed: it is {self.now_s} s")
        self._order += 1
        heappush(self._planned, (when_s, self._order, happening))

    def step(self) -> bool:
        """Lets the next thing happen; False when nothing is planned."""
        if not self._planned:
            return False
        self.now_s, _, happening = heappop(self._planned)
        happening()
        return True
