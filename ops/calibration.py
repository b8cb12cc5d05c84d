"""Measures how long a running engine takes for its work. The engine must have nothing else to do.

What is timed, each in several rounds: prompts that are in no cache, alone; steps that make a token
for several sequences at once; and the same behind long contexts. Prompts are random token ids, so
none has a prefix in common with another.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count, takewhile
from random import Random
from statistics import median

from deployments.calibration import (
    Batch,
    Cache,
    Calibration,
    Decode,
    Prefill,
    Spread,
)
from ops.timed_engine import Timed, TimedEngine, complete_all

#: Ids that are text, and no marks, in every tokenizer we know.
FIRST_ID, LAST_ID = 300, 1300
#: The shortest prompt says what a request costs besides its tokens.
SHORT_TOKENS = 16
#: Of the longest prompt that is measured.
LONGEST_TOKENS = 16384
#: Decoded behind every prompt of a decode measurement.
ANSWER_TOKENS = 48
LONG_SHARE = 0.75


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured, as its calibration will name it."""

    model: str
    accelerator: str
    tensor: int
    pipeline: int
    window_tokens: int
    batch: Batch
    origin: str
    start: Spread | None


@dataclass(frozen=True, slots=True)
class Rounds:
    """How often each thing is done, and who hears of it."""

    count: int
    report: Callable[[str], None]


async def calibrated(engine: TimedEngine, subject: Subject, rounds: Rounds) -> Calibration:
    """The calibration of an engine that does nothing else. Raises EngineUnmeasurable."""
    stopwatch = _Stopwatch(engine, subject, rounds, Random(0))  # noqa: S311 - not a secret
    cache = await engine.cache()
    await stopwatch.warm_up()
    decode = [await stopwatch.decode(n, SHORT_TOKENS) for n in _powers(subject.batch.sequences)]
    prefill = [await stopwatch.prefill(n) for n in _prompt_lengths(subject.window_tokens)]
    long_tokens = int(min(subject.window_tokens, LONGEST_TOKENS) * LONG_SHARE)
    together = [n for n in (1, 4) if n <= _that_fit(cache, long_tokens, subject.batch)]
    long_decode = [await stopwatch.decode(n, long_tokens) for n in together]
    short = prefill[0].seconds
    return Calibration(
        model=subject.model,
        accelerator=subject.accelerator,
        tensor=subject.tensor,
        pipeline=subject.pipeline,
        basis="measured",
        origin=subject.origin,
        overhead=_beyond(short, decode[0].seconds),
        prefill=tuple(prefill),
        decode=tuple(decode),
        long_decode=tuple(long_decode),
        cache=cache,
        batch=subject.batch,
        start=subject.start,
    )


def spread(values_s: list[float]) -> Spread:
    """To a microsecond."""
    figures = (median(values_s), min(values_s), max(values_s))
    middle, low, high = (round(figure, 6) for figure in figures)
    return Spread(median=middle, low=low, high=high)


def _beyond(whole: Spread, step: Spread) -> Spread:
    """What a request costs beyond the one step that it takes."""
    return spread(
        [max(value - step.median, 0.0) for value in (whole.low, whole.median, whole.high)]
    )


def _powers(most: int) -> Iterator[int]:
    return takewhile(lambda value: value <= most, (1 << at for at in count()))


def _prompt_lengths(window_tokens: int) -> Iterator[int]:
    most = min(window_tokens - 1, LONGEST_TOKENS)
    yield from takewhile(lambda value: value < most, (SHORT_TOKENS << at for at in count()))
    yield most


def _that_fit(cache: Cache, context_tokens: int, batch: Batch) -> int:
    each = -(-(context_tokens + ANSWER_TOKENS) // cache.block_tokens)
    return min(cache.blocks // each, batch.sequences)


@dataclass(frozen=True, slots=True)
class _Stopwatch:
    engine: TimedEngine
    subject: Subject
    rounds: Rounds
    dice: Random

    async def warm_up(self) -> None:
        """The first of everything is slow."""
        once = replace(self, rounds=replace(self.rounds, count=1, report=lambda _: None))
        for tokens in (SHORT_TOKENS, min(self.subject.window_tokens - 1, 1024)):
            await once.prefill(tokens)
        await once.decode(min(4, self.subject.batch.sequences), SHORT_TOKENS)

    async def prefill(self, tokens: int) -> Prefill:
        seen = [await self.engine.complete(self._prompt(tokens), 1) for _ in self._rounds()]
        found = Prefill(tokens=tokens, seconds=spread([each.first_token_s for each in seen]))
        self.rounds.report(f"{tokens:,} prompt tokens: {found.seconds.median * 1000:,.1f} ms")
        return found

    async def decode(self, sequences: int, context_tokens: int) -> Decode:
        steps_s = []
        for _ in self._rounds():
            prompts = [self._prompt(context_tokens) for _ in range(sequences)]
            # Prompts one after another take longer than an answer: the last to begin sees it all.
            answers = ANSWER_TOKENS * (1 if context_tokens == SHORT_TOKENS else 2)
            steps_s.append(_step_s(await complete_all(self.engine, prompts, answers)))
        found = Decode(
            sequences=sequences,
            context_tokens=context_tokens + ANSWER_TOKENS // 2,
            seconds=spread(steps_s),
        )
        at = f"{sequences} sequences behind {context_tokens:,} tokens"
        self.rounds.report(f"{at}: {found.seconds.median * 1000:,.2f} ms a step")
        return found

    def _rounds(self) -> range:
        return range(self.rounds.count)

    def _prompt(self, tokens: int) -> list[int]:
        return self.dice.choices(range(FIRST_ID, LAST_ID), k=tokens)


def _step_s(seen: list[Timed]) -> float:
    """The median step while all of them were decoding."""
    begin_s = max(each.chunks_s[0] for each in seen)
    end_s = min(each.ended_s for each in seen)
    return median(_token_s(each, begin_s, end_s) for each in seen)


def _token_s(timed: Timed, begin_s: float, end_s: float) -> float:
    """Between two tokens of one answer. Where the others left it no time, of the whole answer."""
    inside = [at for at in timed.chunks_s if begin_s <= at <= end_s]
    chunks_s = inside if len(inside) > 2 else timed.chunks_s
    chunk_s = (chunks_s[-1] - chunks_s[0]) / max(len(chunks_s) - 1, 1)
    return chunk_s * len(timed.chunks_s) / timed.tokens
