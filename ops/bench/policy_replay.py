"""Policies of routing over a real trace in modelled time: engines that batch, prefill in chunks
and cache prefixes, without HTTP and without a wait.

For tuning. What is promised is measured with real sockets by `ops.bench.routers`.
"""

import argparse
import heapq
import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from ops.bench import policies
from ops.bench.policies import Gateway
from ops.bench.routers import trace
from ops.bench.routers.engine import Engine, Job
from ops.bench.routers.service import Service
from ops.bench.routers.trace import Ask as Question
from ops.bench.stats import percentile
from ops.bench.table import Table
from serving.snapshot import Load

#: How old a heartbeat is at most: a report every quarter of a second, and as much on its way.
HEARTBEAT_S = 0.5


@dataclass(slots=True)
class _Live:
    """A request under way."""

    question: Question
    gateway: Gateway
    ticket: Any
    has_begun: bool = False


@dataclass(slots=True)
class Seen:
    """What came out; times to the first token in seconds of the engines."""

    first_s: list[float] = field(default_factory=list)
    prompt_tokens: int = 0
    cached_tokens: int = 0
    #: Requests of each engine.
    taken: list[int] = field(default_factory=list)

    @property
    def hit_rate(self) -> float:
        return self.cached_tokens / self.prompt_tokens

    @property
    def spread(self) -> float:
        """The busiest engine over the mean."""
        return max(self.taken) / statistics.mean(self.taken)


class Replay:
    """Runs a trace to its end: arrivals, the steps of engines and heartbeats, in order of time."""

    def __init__(self, gateways: Sequence[Gateway], engines: int, seed: int) -> None:
        self._gateways = gateways
        self._engines = [Engine(Service()) for _ in range(engines)]
        self._dice = random.Random(seed)  # noqa: S311
        self._live: dict[int, _Live] = {}
        #: When which engine's step ends; an entry that is not the engine's own time is out of date.
        self._steps: list[tuple[float, int]] = []
        self._ends_s: list[float | None] = [None] * engines
        self._beat_s = HEARTBEAT_S
        self.seen = Seen(taken=[0] * engines)

    def run(self, questions: Sequence[Question]) -> Seen:
        for number, question in enumerate(questions):
            self._until(question.arrival_s)
            self._arrive(number, question)
        while self._live:
            self._until(self._steps[0][0])
        return self.seen

    def _until(self, now_s: float) -> None:
        while (
            next_s := min(self._beat_s, self._steps[0][0] if self._steps else math.inf)
        ) <= now_s:
            if next_s == self._beat_s:
                self._beat()
            else:
                self._step()

    def _beat(self) -> None:
        self._beat_s += HEARTBEAT_S
        loads = [Load(waiting=each.waiting, running=each.running) for each in self._engines]
        for gateway in self._gateways:
            gateway.heard(loads)

    def _step(self) -> None:
        end_s, number = heapq.heappop(self._steps)
        if self._ends_s[number] == end_s:
            self._ends_s[number] = None
            self._advance(number, end_s)

    def _arrive(self, job_id: int, question: Question) -> None:
        gateway = self._dice.choice(self._gateways)
        number, ticket = gateway.choose(question)
        self._live[job_id] = _Live(question, gateway, ticket)
        self.seen.taken[number] += 1
        self._advance(number, question.arrival_s)
        job = Job(job_id, question.prompt_tokens, question.output_tokens, question.blocks)
        self._engines[number].submit(job, question.arrival_s)
        self._schedule(number)

    def _advance(self, number: int, now_s: float) -> None:
        for progress in self._engines[number].advance(now_s):
            live = self._live[progress.job_id]
            if not live.has_begun:
                self._begin(live, now_s, progress.cached_tokens)
            if progress.is_last:
                del self._live[progress.job_id]
                live.gateway.ended(live.ticket, progress.cached_tokens)
        self._schedule(number)

    def _begin(self, live: _Live, now_s: float, cached_tokens: int) -> None:
        live.has_begun = True
        live.gateway.began(live.ticket)
        self.seen.first_s.append(now_s - live.question.arrival_s)
        self.seen.prompt_tokens += live.question.prompt_tokens
        self.seen.cached_tokens += cached_tokens

    def _schedule(self, number: int) -> None:
        end_s = self._engines[number].next_s
        if end_s is not None and end_s != self._ends_s[number]:
            heapq.heappush(self._steps, (end_s, number))
        self._ends_s[number] = end_s


@dataclass(frozen=True, slots=True)
class Plan:
    engines: int
    gateways: int
    rounds: int


def row(name: str, questions: Sequence[Question], plan: Plan) -> tuple[str, ...]:
    """Medians of the rounds, which differ by their dice."""
    rounds = [_one(name, questions, plan, seed) for seed in range(plan.rounds)]

    def median(figures: list[float]) -> str:
        return f"{statistics.median(figures):.2f}"

    hits = f"{100 * statistics.median([seen.hit_rate for seen in rounds]):.1f}"
    shares = (0.5, 0.9, 0.99)
    times = (median([percentile(seen.first_s, share) for seen in rounds]) for share in shares)
    return (name, hits, *times, median([seen.spread for seen in rounds]))


def _one(name: str, questions: Sequence[Question], plan: Plan, seed: int) -> Seen:
    make = policies.ALL[name]
    gateways = [make(plan.engines, seed + number) for number in range(plan.gateways)]
    return Replay(gateways, plan.engines, seed).run(questions)


def table(name: str, questions: Sequence[Question], plan: Plan) -> Table:
    headers = ("policy", "hits %", "TTFT p50 s", "p90 s", "p99 s", "busiest / mean")
    return Table(name, headers, tuple(row(each, questions, plan) for each in policies.ALL))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ops.bench.policy_replay", description=__doc__)
    parser.add_argument("--trace", type=Path, required=True, help="Mooncake's format, JSON lines")
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--loads", default="1.75,3.5,4.5", help="multiples of the trace's own pace")
    parser.add_argument("--engines", type=int, default=8)
    parser.add_argument("--gateways", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def main() -> None:
    """`python -m ops.bench.policy_replay --trace FILE`"""
    chosen = _arguments()
    with chosen.trace.open(encoding="utf-8") as lines:
        shared = trace.read(lines, chosen.requests)
    plan, console = Plan(chosen.engines, chosen.gateways, chosen.rounds), Console(width=120)
    for load in (float(part) for part in chosen.loads.split(",")):
        behind = f"{load:g}x, {plan.engines} engines, {plan.gateways} gateways"
        console.print(table(behind, trace.hurried(shared, load), plan).rich())
        unique = trace.hurried(trace.without_shared_blocks(shared), load)
        console.print(table(f"{behind}, no shared prefixes", unique, plan).rich())


if __name__ == "__main__":
    main()
