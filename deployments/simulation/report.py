"""What an outcome comes to, for each model and over time. Pure."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from deployments.simulation.record import Ending, Record
from deployments.simulation.run import Outcome

#: At most so many points over time.
MAX_POINTS = 240
#: An hour is shown by the minute.
LEAST_POINT_S = 15.0


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of the requests that were answered; nearest rank, NaN where there is none."""

    p50: float
    p90: float
    p99: float


@dataclass(frozen=True, slots=True)
class Summary:
    """Of one replica set, or of all."""

    requests: int
    endings: Mapping[Ending, int]
    first_token_s: Percentiles
    token_s: Percentiles
    #: Of answered requests, over the whole run.
    prompt_tokens_per_s: float
    output_tokens_per_s: float
    #: Prompt tokens found in a cache, of all prompt tokens that were answered.
    hit_rate: float
    #: Accelerator-seconds, of all that the inventory has.
    accelerator_share: float

    @property
    def lost(self) -> int:
        """Without a whole answer."""
        return self.requests - self.endings.get(Ending.ANSWERED, 0)


@dataclass(frozen=True, slots=True)
class Point:
    """Requests of one replica set that came within one part of the run."""

    at_s: float
    first_token_p50_s: float
    first_token_p90_s: float
    hit_rate: float
    #: At its end.
    accelerators: int


@dataclass(frozen=True, slots=True)
class Report:
    """All of it."""

    ended_s: float
    preempted: int
    total: Summary
    #: In the order of the fleet.
    models: Mapping[str, Summary]
    timeline: Mapping[str, tuple[Point, ...]]
    #: When, and what autoscaling changed.
    decisions: tuple[tuple[float, str], ...]


def report(outcome: Outcome, models: Sequence[str]) -> Report:
    """The report on these replica sets."""
    by_model = _grouped(outcome.records)
    seconds = outcome.accelerators.seconds
    room = outcome.accelerators.total * outcome.ended_s

    def summary(records: Sequence[Record], held: float) -> Summary:
        return _summary(records, outcome.ended_s, held / room if room else 0.0)

    return Report(
        ended_s=outcome.ended_s,
        preempted=outcome.preempted,
        total=summary(outcome.records, sum(seconds.values())),
        models={model: summary(by_model[model], seconds[model]) for model in models},
        timeline={model: _timeline(model, by_model[model], outcome) for model in models},
        decisions=tuple((each.at_s, str(each.change)) for each in outcome.decided),
    )


def percentile(values: Sequence[float], share: float) -> float:
    """By nearest rank, of sorted values."""
    return values[max(math.ceil(share * len(values)), 1) - 1] if values else math.nan


def _grouped(records: Iterable[Record]) -> dict[str, list[Record]]:
    found = defaultdict(list)
    for record in records:
        found[record.replica_set].append(record)
    return found


def _percentiles(values: Iterable[float | None]) -> Percentiles:
    known = sorted(value for value in values if value is not None)
    return Percentiles(*(percentile(known, share) for share in (0.5, 0.9, 0.99)))


def _summary(records: Sequence[Record], ended_s: float, accelerator_share: float) -> Summary:
    answered = [record for record in records if record.is_answered]
    prompts = sum(record.arrival.prompt_tokens for record in answered)
    outputs = sum(record.arrival.output_tokens for record in answered)
    return Summary(
        requests=len(records),
        endings=Counter(record.ending for record in records),
        first_token_s=_percentiles(record.first_token_s for record in answered),
        token_s=_percentiles(record.token_s for record in answered),
        prompt_tokens_per_s=prompts / ended_s if ended_s else 0.0,
        output_tokens_per_s=outputs / ended_s if ended_s else 0.0,
        hit_rate=_hit_rate(answered),
        accelerator_share=accelerator_share,
    )


def _hit_rate(answered: Iterable[Record]) -> float:
    prompts = found = 0
    for record in answered:
        prompts += record.arrival.prompt_tokens
        found += record.found_tokens
    return found / prompts if prompts else math.nan


def _timeline(model: str, records: Sequence[Record], outcome: Outcome) -> tuple[Point, ...]:
    part_s = max(outcome.ended_s / MAX_POINTS, LEAST_POINT_S)
    parts: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        parts[int(record.arrival.at_s / part_s)].append(record)
    changes = [change for change in outcome.accelerators.changes if change[1] == model]
    return tuple(
        _point((at + 1) * part_s, parts.get(at, ()), changes)
        for at in range(math.ceil(outcome.ended_s / part_s))
    )


def _point(
    end_s: float, records: Sequence[Record], changes: Sequence[tuple[float, str, int]]
) -> Point:
    answered = [record for record in records if record.is_answered]
    first = _percentiles(record.first_token_s for record in answered)
    before = [count for at_s, _, count in changes if at_s <= end_s]
    return Point(end_s, first.p50, first.p90, _hit_rate(answered), before[-1] if before else 0)
