"""How long a replica waits before it starts once more, after it died soon several times. Pure.

Serve starts what has died again at once, for ever: an engine that dies whenever it is ready would
read its weights from the shared file system without end.

Rules
1. A life is short that ended within `SHORT_LIFE_S` of its being ready, or before it ever was.
2. After each short life in a row the pause doubles, from a second to a minute. The first start, and
   the one after a long life or an orderly stop, waits for nothing.
3. What was changed is not what died: it starts anew.
"""

from dataclasses import dataclass

SHORT_LIFE_S = 60.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
#: The pause is the longest long before.
MAX_SHORT_LIVES = 100


@dataclass(frozen=True, slots=True)
class Life:
    """Of one replica, from its start; its successor learns from it."""

    #: What the replica is made of, as a digest.
    made_of: str
    #: The short lives in a row before this one.
    short_lives: int = 0
    #: Wall clock, since it outlives the process; None: it never was ready.
    ready_s: float | None = None

    @property
    def pause_s(self) -> float:
        """Before it starts its engine."""
        if not self.short_lives:
            return 0.0
        doublings = min(self.short_lives, MAX_SHORT_LIVES) - 1
        return min(FIRST_PAUSE_S * (1 << doublings), LONGEST_PAUSE_S)


def next_life(last: Life | None, made_of: str, now_s: float) -> Life:
    """The life that begins now; `last` is the one that nobody ended in order."""
    if last is None or last.made_of != made_of or not _was_short(last, now_s):
        return Life(made_of)
    return Life(made_of, min(last.short_lives + 1, MAX_SHORT_LIVES))


def _was_short(life: Life, now_s: float) -> bool:
    return life.ready_s is None or now_s - life.ready_s < SHORT_LIFE_S
