"""A run beside one that was saved: what has become worse by more than is tolerated. Pure.

Rules
- Only the same load is compared, and only points with as many clients.
- Medians decide: the slowest of a few dozen replies says little twice.
- A point that is not whole is a regression, whatever its figures.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ops.fleet_bench.point import Point

#: Of each figure, and whether more of it is better.
COMPARED: Mapping[str, bool] = {
    "answer_tokens_per_s": True,
    "first_token_p50_ms": False,
    "next_token_p50_ms": False,
    "whole_p50_ms": False,
}


@dataclass(frozen=True, slots=True)
class Regression:
    """What is worse at one point."""

    clients: int
    figure: str
    before: float
    now: float

    def __str__(self) -> str:
        if self.figure == "whole":
            return f"{self.clients} clients: {self.now:.0f} replies were not whole"
        change = self.now / self.before - 1 if self.before else 0.0
        name = self.figure.replace("_", " ")
        return f"{self.clients} clients: {name} {self.before:.1f} -> {self.now:.1f} ({change:+.0%})"


def regressions(
    before: Sequence[Point], now: Sequence[Point], tolerance: float
) -> Iterator[Regression]:
    """`tolerance` is a share: 0.1 lets a figure be a tenth worse."""
    known = {point.clients: point for point in before}
    for point in now:
        if not point.is_whole:
            yield Regression(point.clients, "whole", 0, max(point.failed, 1))
        elif point.clients in known:
            yield from _worse(known[point.clients], point, tolerance)


def _worse(before: Point, now: Point, tolerance: float) -> Iterator[Regression]:
    for figure, is_more_better in COMPARED.items():
        old, new = getattr(before, figure), getattr(now, figure)
        limit = old * (1 - tolerance) if is_more_better else old * (1 + tolerance)
        if (new < limit) if is_more_better else (new > limit):
            yield Regression(now.clients, figure, old, new)
