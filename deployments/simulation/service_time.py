"""How long a step of an engine takes, from what its calibration measured. Pure.

A step that makes a token for each of n sequences and computes prompt tokens from place a to place b
takes

    step(n) + context_token_s x tokens behind the n sequences + work(b) - work(a)

where work(p) = prompt_token_s p + prompt_pair_s p^2: every token is multiplied with the weights and
looks back at all before it. step(n) runs through the measured points in straight lines; step(0) is
the line's own continuation, what a step costs whatever is in it. A prompt of several chunks pays it
several times, which is taken out of the measurement before the two terms are fitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from deployments.calibration import Batch, Cache, Calibration, Decode


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """Of one replica."""

    #: Of each request, besides what the engine's steps take.
    overhead_s: float
    #: By the number of sequences, from none to as many as a step may hold.
    step_s: tuple[float, ...]
    #: For each token behind the sequences of a step.
    context_token_s: float
    prompt_token_s: float
    prompt_pair_s: float
    batch: Batch
    cache: Cache
    #: From nothing to ready.
    start_s: float

    def prompt_s(self, begin: int, end: int) -> float:
        """The work on these places of a prompt."""
        return (end - begin) * (self.prompt_token_s + self.prompt_pair_s * (end + begin))


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the engine that is simulated; the one that was measured may have had others."""

    batch: Batch
    cache: Cache
    #: For a calibration that does not say how long a start takes.
    start_s: float


def service_time(calibration: Calibration, limits: Limits) -> ServiceTime:
    """The service time of a replica with these limits."""
    context_token_s = _context_token_s(calibration)
    points = [
        (point.sequences, max(_short_s(point, context_token_s), 0.0))
        for point in calibration.decode
    ]
    step_s = tuple(_line(points, n) for n in range(limits.batch.sequences + 1))
    token_s, pair_s = _prompt(calibration, step_s[0])
    return ServiceTime(
        overhead_s=calibration.overhead.median,
        step_s=step_s,
        context_token_s=context_token_s,
        prompt_token_s=token_s,
        prompt_pair_s=pair_s,
        batch=limits.batch,
        cache=limits.cache,
        start_s=calibration.start.median if calibration.start else limits.start_s,
    )


def _short_s(point: Decode, context_token_s: float) -> float:
    behind = point.sequences * point.context_tokens
    return point.seconds.median - context_token_s * behind


def _context_token_s(calibration: Calibration) -> float:
    """The mean over all that was measured with as many sequences behind short contexts, too."""
    short = {point.sequences: point for point in calibration.decode}
    found = [
        (long.seconds.median - short[long.sequences].seconds.median)
        / (long.sequences * (long.context_tokens - short[long.sequences].context_tokens))
        for long in calibration.long_decode
        if long.sequences in short and long.context_tokens > short[long.sequences].context_tokens
    ]
    return max(sum(found) / len(found), 0.0) if found else 0.0


def _line(points: Sequence[tuple[int, float]], n: int) -> float:
    """On the straight line between the points around `n`; beyond them the last line goes on."""
    if len(points) == 1:
        return points[0][1]
    around = next(((a, b) for a, b in pairwise(points) if n <= b[0]), (points[-2], points[-1]))
    (low, low_s), (high, high_s) = around
    slope_s = max((high_s - low_s) / (high - low), 0.0)
    return max(low_s + slope_s * (n - low), 0.0)


def _prompt(calibration: Calibration, step_s: float) -> tuple[float, float]:
    """The two terms of work with the least relative error, counted from the shortest prompt on,
    which takes away what all have in common.
    """
    first, *others = calibration.prefill
    rows = []
    for point in others:
        steps = -(-point.tokens // calibration.batch.tokens) - 1
        beyond_s = point.seconds.median - first.seconds.median - steps * step_s
        tokens = point.tokens - first.tokens
        pairs = point.tokens**2 - first.tokens**2
        rows.append((tokens, pairs, max(beyond_s, 0.0), point.seconds.median))
    return _least_squares(rows)


def _least_squares(rows: Sequence[tuple[int, int, float, float]]) -> tuple[float, float]:
    """x, y >= 0 of tokens x + pairs y = seconds; each row weighs by the last of its figures. Where
    the best pair has a negative part, that part is nothing.
    """
    xx = xy = yy = xs = ys = 0.0
    for tokens, pairs, seconds, scale in rows:
        a, b, s = tokens / scale, pairs / scale, seconds / scale
        xx, xy, yy, xs, ys = xx + a * a, xy + a * b, yy + b * b, xs + a * s, ys + b * s
    determinant = xx * yy - xy * xy
    # Two rows that say the same leave the pairs open.
    if len(rows) < 2 or determinant <= 1e-12 * xx * yy:
        return xs / xx, 0.0
    x, y = (xs * yy - ys * xy) / determinant, (ys * xx - xs * xy) / determinant
    if y < 0:
        return xs / xx, 0.0
    return (x, y) if x >= 0 else (0.0, ys / yy)
