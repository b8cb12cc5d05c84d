"""Times as counts in fixed buckets: small, and the sum of two is the histogram of both. Pure.

Each bucket is 1.41 times as wide as the one before, so a percentile is off by less than a fifth.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

#: The upper ends, from 10 ms to 164 s; the last bucket is for all that is longer.
BOUNDS_S = tuple(0.01 * 2 ** (step / 2) for step in range(29))
BUCKETS = len(BOUNDS_S) + 1
#: The same, ten times finer: of the time between two tokens, from 1 ms to 16 s.
TOKEN_BOUNDS_S = tuple(bound_s / 10 for bound_s in BOUNDS_S)

Counts = Sequence[int]
"""How many fell into each bucket."""


def bucket(seconds: float, bounds_s: Sequence[float] = BOUNDS_S) -> int:
    """The number of the bucket that it falls into."""
    return bisect_left(bounds_s, seconds)


def total(parts: Iterable[Counts]) -> list[int]:
    """All of them in one; what is longer or shorter than a histogram is left out."""
    whole = [part for part in parts if len(part) == BUCKETS]
    return [sum(counts) for counts in zip(*whole, strict=True)] or [0] * BUCKETS


def percentile(counts: Counts, share: float, bounds_s: Sequence[float] = BOUNDS_S) -> float | None:
    """The upper end of the bucket that `share` of all are within; None when there are none."""
    wanted = share * sum(counts)
    if not wanted:
        return None
    reached = 0
    for end_s, count in zip(bounds_s, counts, strict=False):
        reached += count
        if reached >= wanted:
            return end_s
    return bounds_s[-1]
