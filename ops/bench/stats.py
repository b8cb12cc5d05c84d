"""The few numbers a list of measurements becomes. Pure."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: a value that was really measured. NaN when there is none."""
    if not values:
        return math.nan
    rank = math.ceil(share * len(values))
    return sorted(values)[max(rank, 1) - 1]


def per_thousand(amount: float, count: int) -> float:
    return amount * 1_000 / count if count else math.nan


def ratio(one: float, other: float) -> float:
    """How many times `other` fits into `one`; NaN when that says nothing."""
    return one / other if other > 0 else math.nan


@dataclass(frozen=True)
class Spread:
    """One figure over all rounds."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """The median with its range; rounds without the figure are left out."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return Spread(math.nan, math.nan, math.nan)
    return Spread(statistics.median(known), min(known), max(known))
