"""One rival under one load in one round, as numbers. Pure."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from ops.bench.load import Measured
from ops.bench.shape import Shape
from ops.bench.stats import Spread, per_thousand, percentile, spread

_MS = 1_000
#: From this share of a core on, nothing is left to give.
_FULL = 0.9
#: What the scheduler leaves the rig, at the least, when other work wants its core as well.
_FAIR = 0.4


@dataclass(frozen=True)
class Mark:
    """Processor seconds used so far, on each side of the rig."""

    #: What counts as the gateway, and all that was started for it.
    gateway_s: float
    family_s: float
    load_s: float
    upstream_s: float
    #: Time the two cores were not idle, whoever used them.
    gateway_core_s: float
    load_core_s: float

    def since(self, opened: "Mark") -> "Mark":
        names = (field.name for field in fields(Mark))
        return Mark(**{name: getattr(self, name) - getattr(opened, name) for name in names})


@dataclass(frozen=True)
class Sample:
    rival: str
    shape: Shape
    replies_per_s: float
    chunks_per_s: float
    cpu_s_per_1000_replies: float
    cpu_s_per_1000_chunks: float
    #: Milliseconds to the last byte, and to the first token of a stream.
    total_p50_ms: float
    total_p99_ms: float
    first_p50_ms: float
    first_p99_ms: float
    #: Shares of a core.
    gateway_busy: float
    rig_busy: float
    #: What work that is none of ours took of the two cores: noise.
    gateway_foreign: float
    rig_foreign: float
    errors: dict[str, int]

    @property
    def is_rig_bound(self) -> bool:
        """The rig had no time left and the gateway did: the rate is the rig's limit."""
        is_full = self.rig_busy + self.rig_foreign >= _FULL and self.rig_busy >= _FAIR
        return is_full and self.gateway_busy < _FULL


def sample(rival: str, shape: Shape, measured: Measured[Mark], *, shares_core: bool) -> Sample:
    tally, elapsed_s = measured.tally, measured.elapsed_s
    used = measured.closed.since(measured.opened)
    rig_s = used.load_s + used.upstream_s if shares_core else used.load_s
    return Sample(
        rival=rival,
        shape=shape,
        replies_per_s=tally.replies / elapsed_s,
        chunks_per_s=tally.chunks / elapsed_s if shape.stream else math.nan,
        cpu_s_per_1000_replies=per_thousand(used.gateway_s, tally.replies),
        cpu_s_per_1000_chunks=per_thousand(used.gateway_s, tally.chunks),
        total_p50_ms=percentile(tally.total_s, 0.50) * _MS,
        total_p99_ms=percentile(tally.total_s, 0.99) * _MS,
        first_p50_ms=percentile(tally.first_s, 0.50) * _MS,
        first_p99_ms=percentile(tally.first_s, 0.99) * _MS,
        gateway_busy=used.gateway_s / elapsed_s,
        rig_busy=rig_s / elapsed_s,
        gateway_foreign=max(used.gateway_core_s - used.family_s, 0.0) / elapsed_s,
        rig_foreign=max(used.load_core_s - rig_s, 0.0) / elapsed_s,
        errors=dict(tally.errors),
    )


class Samples:
    """All samples of a run, asked by rival and shape."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._all = tuple(samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._all)

    def of(self, rival: str, shape: Shape) -> tuple[Sample, ...]:
        return tuple(s for s in self._all if s.rival == rival and s.shape == shape)

    def figure(self, rival: str, shape: Shape, name: str) -> Spread:
        """One field over the rounds."""
        return spread([getattr(s, name) for s in self.of(rival, shape)])

    def has_errors(self, rival: str, shape: Shape) -> bool:
        return any(s.errors for s in self.of(rival, shape))

    def is_rig_bound(self, rival: str, shape: Shape) -> bool:
        """In most rounds."""
        rounds = self.of(rival, shape)
        return 2 * sum(s.is_rig_bound for s in rounds) > len(rounds)
