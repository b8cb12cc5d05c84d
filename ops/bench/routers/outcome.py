"""One router with one kind of traffic in one round, as numbers. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ops.bench.routers.metrics import Seen
from ops.bench.routers.replay import Replies
from ops.bench.sample import Mark
from ops.bench.stats import Spread, percentile, ratio, spread

#: From this share of a core on, what is measured may be the rig.
_FULL = 0.8


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is asked: the trace at some multiple of its own pace, with or without its prefixes."""

    load: float
    shares_prefixes: bool = True

    @property
    def name(self) -> str:
        return f"{self.load:g}x {'as it is' if self.shares_prefixes else 'without shared prefixes'}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Seconds are the modelled engines'; shares are of a core or of tokens."""

    router: str
    traffic: Traffic
    requests: int
    ttft_p50_s: float
    ttft_p90_s: float
    ttft_p99_s: float
    total_p50_s: float
    requests_per_s: float
    tokens_per_s: float
    #: Prompt tokens that the engines found in their caches.
    hit_rate: float
    #: Work of the busiest engine over the mean.
    spread: float
    router_busy: float
    rig_busy: float
    #: What work that is none of ours took of the busier core.
    foreign: float
    #: How late the emulated engines' steps were, in the mean.
    late_s: float
    errors: dict[str, int]

    @property
    def is_rig_bound(self) -> bool:
        return max(self.router_busy, self.rig_busy) + self.foreign >= _FULL


@dataclass(frozen=True, slots=True)
class Measured:
    """What was seen from outside while the load ran."""

    replies: Replies
    engines: tuple[Seen, ...]
    used: Mark
    speed: float


def outcome(router: str, traffic: Traffic, measured: Measured) -> Outcome:
    replies, engines, used = measured.replies, measured.engines, measured.used
    wall_s, speed = replies.elapsed_s, measured.speed
    rig_s = used.load_s + used.upstream_s
    foreign_s = max(used.gateway_core_s - used.family_s, used.load_core_s - rig_s, 0.0)
    return Outcome(
        router=router,
        traffic=traffic,
        requests=len(replies.total_s),
        ttft_p50_s=percentile(replies.first_s, 0.50) * speed,
        ttft_p90_s=percentile(replies.first_s, 0.90) * speed,
        ttft_p99_s=percentile(replies.first_s, 0.99) * speed,
        total_p50_s=percentile(replies.total_s, 0.50) * speed,
        requests_per_s=ratio(len(replies.total_s), wall_s * speed),
        tokens_per_s=ratio(replies.tokens, wall_s * speed),
        hit_rate=ratio(
            sum(e.cached_tokens for e in engines), sum(e.prompt_tokens for e in engines)
        ),
        spread=_spread([_work(engine) for engine in engines]),
        router_busy=ratio(used.gateway_s, wall_s),
        rig_busy=ratio(rig_s, wall_s),
        foreign=ratio(foreign_s, wall_s),
        late_s=ratio(sum(e.late_s for e in engines), sum(e.steps for e in engines)),
        errors=dict(replies.errors),
    )


def _work(engine: Seen) -> float:
    """Prompt tokens computed: what a router can do most about."""
    return engine.prompt_tokens - engine.cached_tokens


def _spread(work: Sequence[float]) -> float:
    return ratio(max(work), sum(work) / len(work))


class Outcomes:
    """All outcomes of a run, asked by router and traffic."""

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        self._all = tuple(outcomes)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self._all)

    def of(self, router: str, traffic: Traffic) -> tuple[Outcome, ...]:
        return tuple(o for o in self._all if o.router == router and o.traffic == traffic)

    def figure(self, router: str, traffic: Traffic, name: str) -> Spread:
        """One field over the rounds."""
        return spread([getattr(o, name) for o in self.of(router, traffic)])

    def traffics(self) -> tuple[Traffic, ...]:
        return tuple(dict.fromkeys(o.traffic for o in self._all))

    def routers(self, traffic: Traffic) -> tuple[str, ...]:
        return tuple(dict.fromkeys(o.router for o in self._all if o.traffic == traffic))
