"""Tenants that share one saturated engine, under several ways to let them in: a simulation. Pure
but for its dice, which are seeded.

The engine is the one of deployments/simulation: steps, chunked prompts, first come, first served.
What differs is who is sent to it, and when.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

from deployments.calibration import Batch, Cache
from deployments.simulation.engine import Engine, Work
from deployments.simulation.prefix_cache import PrefixCache
from deployments.simulation.service_time import ServiceTime
from deployments.simulation.trace import Arrival
from serving.fairness.claim import Claim, Places
from serving.fairness.fair_queue import FairQueue, Full
from serving.fairness.places import AHEAD_SHARE, PROMPT_TOKENS
from serving.limits.terms import Priority
from serving.routing.capacity import WAITING_SHARE

#: Sequences that the engine runs at once.
SEQUENCES = 64
#: Round figures of a model of 70 billion parameters on eight accelerators.
TIME = ServiceTime(
    overhead_s=0.01,
    step_s=tuple(0.025 + 0.0001 * n for n in range(SEQUENCES + 1)),
    context_token_s=0.0,
    prompt_token_s=1 / 8_000,
    prompt_pair_s=0.0,
    batch=Batch(tokens=2_048, sequences=SEQUENCES),
    cache=Cache(blocks=100_000, block_tokens=16),
    start_s=60.0,
)
#: Of an answer, what a gateway expects.
TYPICAL_TOKENS = 200


@dataclass(frozen=True)
class Tenant:
    """Comes at random moments, with prompts and answers of random length."""

    name: str
    requests_per_s: float
    prompt_tokens: tuple[int, int] = (200, 600)
    answer_tokens: tuple[int, int] = (100, 300)


@dataclass(eq=False)
class Request:
    tenant: str
    at_s: float
    prompt_tokens: int
    answer_tokens: int
    first_token_s: float | None = None
    is_refused: bool = False

    @property
    def waited_s(self) -> float:
        """For the first token."""
        return inf if self.first_token_s is None else self.first_token_s - self.at_s


class Policy(Protocol):
    """Each call returns whom to send to the engine now."""

    def arrived(self, request: Request, now_s: float) -> list[Request]: ...
    def began(self, request: Request, now_s: float) -> list[Request]: ...
    def ended(self, request: Request, now_s: float) -> list[Request]: ...


@dataclass
class FirstComeFirstServed:
    """The engine's own order, and a refusal when it has what it runs and half as many."""

    at_engine: int = 0

    def arrived(self, request: Request, now_s: float) -> list[Request]:
        if self.at_engine >= SEQUENCES * (1 + WAITING_SHARE):
            request.is_refused = True
            return []
        self.at_engine += 1
        return [request]

    def began(self, request: Request, now_s: float) -> list[Request]:
        return []

    def ended(self, request: Request, now_s: float) -> list[Request]:
        self.at_engine -= 1
        return []


@dataclass
class FairTurns:
    """What the gateway does."""

    queue: FairQueue[Request] = field(default_factory=FairQueue)
    places: Places = field(
        default_factory=lambda: Places(SEQUENCES * (1 + AHEAD_SHARE), PROMPT_TOKENS)
    )

    def arrived(self, request: Request, now_s: float) -> list[Request]:
        claim = _claim(request)
        if self.queue.goes_at_once(claim, self.places, now_s):
            return [request]
        try:
            self.queue.add(claim, request, self.places, now_s)
        except Full:
            request.is_refused = True
        return self._next()

    def began(self, request: Request, now_s: float) -> list[Request]:
        self.queue.began(_claim(request))
        return self._next()

    def ended(self, request: Request, now_s: float) -> list[Request]:
        self.queue.ended(_claim(request), request.prompt_tokens + request.answer_tokens)
        return self._next()

    def _next(self) -> list[Request]:
        found = []
        while (ticket := self.queue.next(self.places)) is not None:
            found.append(ticket.item)
        return found


def _claim(request: Request) -> Claim:
    prompt, answer = request.prompt_tokens, TYPICAL_TOKENS
    return Claim(request.tenant, 1, Priority.STANDARD, prompt, answer, 4 * prompt)


def requests(tenants: Sequence[Tenant], seconds: float, seed: int) -> list[Request]:
    """In their order; each tenant's are the same whoever else is there."""
    found = [request for tenant in tenants for request in _of(tenant, seconds, seed)]
    return sorted(found, key=lambda request: request.at_s)


def _of(tenant: Tenant, seconds: float, seed: int) -> Iterator[Request]:
    dice = random.Random(f"{seed} {tenant.name}")  # noqa: S311 - not a secret
    now_s = dice.expovariate(tenant.requests_per_s)
    while now_s < seconds:
        sizes = dice.randint(*tenant.prompt_tokens), dice.randint(*tenant.answer_tokens)
        yield Request(tenant.name, now_s, *sizes)
        now_s += dice.expovariate(tenant.requests_per_s)


def play(asked: Sequence[Request], policy: Policy) -> None:
    """Serves them all, and notes in each what became of it."""
    engine = Engine(TIME, PrefixCache(TIME.cache.blocks, 1), 16, patience_s=inf)
    at_engine: dict[Work, Request] = {}

    def send(found: list[Request], now_s: float) -> None:
        for request in found:
            arrival = Arrival(now_s, "m", request.prompt_tokens, request.answer_tokens, ())
            work = Work.of(arrival, ())
            at_engine[work] = request
            engine.add(work, now_s)

    coming = list(reversed(asked))
    while coming or engine.next_s is not None:
        next_s = inf if engine.next_s is None else engine.next_s
        if coming and coming[-1].at_s < next_s:
            request = coming.pop()
            send(policy.arrived(request, request.at_s), request.at_s)
            continue
        progress = engine.advance()
        for work in progress.began:
            at_engine[work].first_token_s = work.first_token_s
            send(policy.began(at_engine[work], next_s), next_s)
        for work in progress.ended:
            send(policy.ended(at_engine.pop(work), next_s), next_s)
