"""What was used in the last minute. Pure: the clock is a parameter.

Rules
1. Any 60 seconds, wherever they begin, hold no more than what is allowed, not only those of the
   clock: use is kept for each second, and a second counts until it has left whole.
2. What is charged beyond what is allowed (the last request that was let in, a stream that runs on)
   is owed: it moves into the window as room comes, and nothing is let in before. So the average
   over a long time is what is allowed, whatever one minute held.
3. A refund is taken from the second in which it was charged and those after it, oldest first, and
   from what is owed last: what others were charged later must not count as used earlier. What has
   left the window by then is past, unless a part of it is still owed.
"""

from math import inf

WINDOW_S = 60
_SLOTS = WINDOW_S + 1


class Window:
    """Amounts are requests, tokens, or shares of a limit; `most` is what a minute may hold now."""

    __slots__ = ("_charged", "_owing", "_second", "_slots", "owed", "used")

    def __init__(self) -> None:
        self._slots: list[float] = [0] * _SLOTS
        self._second = 0
        #: The newest second with a charge.
        self._charged = 0
        #: Since this second nothing was charged but what is owed: while anything is, nobody is let
        #: in. Where others were charged in the same second it is the one after.
        self._owing = 0
        #: As of the last call that was told the time.
        self.used: float = 0
        self.owed: float = 0

    @property
    def total(self) -> float:
        return self.used + self.owed

    def roll(self, now_s: float, most: float = inf) -> None:
        """Forgets what has left the window, and moves in what is owed as far as there is room."""
        second = int(now_s)
        if second > self._second:
            for gone in range(max(self._second + 1, second - WINDOW_S), second + 1):
                self._slots[gone % _SLOTS] = 0
            self._second = second
            self.used = sum(self._slots)
        if self.owed:
            self._pay(most)

    def charge(self, now_s: float, amount: float, most: float = inf) -> int:
        """Returns the second it was charged in, for a refund."""
        self.roll(now_s, most)
        if not self.owed:
            self._owing = self._second + bool(self._slots[self._second % _SLOTS])
        self.owed += amount
        if self.owed:
            self._pay(most)
        return self._second

    def refund(self, second: int, amount: float) -> None:
        oldest = self._second - WINDOW_S
        if second < oldest and not (self.owed and second >= self._owing):
            return
        left = amount
        for each in range(max(second, oldest), self._second + 1):
            given = min(self._slots[each % _SLOTS], left)
            self._slots[each % _SLOTS] -= given
            self.used -= given
            left -= given
            if not left:
                return
        self.owed -= min(self.owed, left)

    def room_in_s(self, now_s: float, most: float) -> float:
        """Until less than `most` is used and owed; `WINDOW_S` where that is not to be seen."""
        over = self.total - most
        if over < 0:
            return 0.0
        for age in range(WINDOW_S, -1, -1):
            over -= self._slots[(self._second - age) % _SLOTS]
            if over < 0:
                return self._second - age + _SLOTS - now_s
        return float(WINDOW_S)

    def recent(self, seconds: int) -> float:
        """What was charged in the last seconds, the one under way included."""
        return sum(self._slots[(self._second - age) % _SLOTS] for age in range(seconds))

    def empty_in_s(self, now_s: float) -> float:
        """Until the window is empty, if nothing more is charged."""
        return self._charged + _SLOTS - now_s if self.used else 0.0

    def _pay(self, most: float) -> None:
        paid = min(self.owed, max(0, most - self.used))
        self.owed -= paid
        self.used += paid
        self._slots[self._second % _SLOTS] += paid
        self._charged = self._second
