"""One emulated engine: continuous batching, chunked prefill and a prefix cache, as in vLLM.

Rules
- Work is done in steps. A step gives every decoding sequence one token, then fills what is left of
  the batch with prompt tokens, first come first served; a long prompt takes several steps.
- Prompt blocks found in the cache are not computed, but the last token always is.
- The step that computes the end of a prompt makes its first token.
- While nothing is to be prefilled, several decode steps are taken as one, and their tokens come
  together; whoever arrives meanwhile waits for the end of the step under way, not for all of them.
- A sequence without room for its blocks waits, and everybody behind it.

Pure: the clock is a parameter, in seconds of the modelled engine; no sockets, no text. `advance`
must be called with times that do not go back.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import ceil

from ops.bench.routers.prefix_cache import Holding, Key, PrefixCache
from ops.bench.routers.service import Service
from ops.bench.routers.trace import BLOCK_TOKENS


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked of the engine; `keys` names the whole blocks of the prompt, each with all
    that stands before it.
    """

    id: int
    prompt_tokens: int
    output_tokens: int
    keys: tuple[Key, ...]

    @property
    def blocks(self) -> int:
        return ceil((self.prompt_tokens + self.output_tokens) / BLOCK_TOKENS)


@dataclass(frozen=True, slots=True)
class Progress:
    """Tokens that a job has just got."""

    job_id: int
    tokens: int
    cached_tokens: int
    is_last: bool


@dataclass(slots=True)
class Counters:
    """Sums since the start; tokens of prompts count when they are admitted."""

    finished: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    busy_s: float = 0.0


@dataclass(slots=True, eq=False)
class _Sequence:
    job: Job
    holding: Holding
    cached_tokens: int
    computed_tokens: int
    produced_tokens: int = 0

    @property
    def prefill_left(self) -> int:
        return self.job.prompt_tokens - self.computed_tokens

    @property
    def output_left(self) -> int:
        return self.job.output_tokens - self.produced_tokens


@dataclass(frozen=True, slots=True)
class _Step:
    """The work under way; `times` steps of `each_s`, more than one only while all decode."""

    start_s: float
    each_s: float
    times: int
    decoding: tuple[_Sequence, ...]
    prefills: tuple[tuple[_Sequence, int], ...]

    @property
    def end_s(self) -> float:
        return self.start_s + self.each_s * self.times

    def cut(self, now_s: float) -> "_Step":
        """Ends with the step under way at `now_s`."""
        begun = max(1, ceil((now_s - self.start_s) / self.each_s))
        return replace(self, times=min(self.times, begun))


@dataclass(slots=True)
class Engine:
    service: Service
    counters: Counters = field(default_factory=Counters)
    cache: PrefixCache = field(init=False)
    _waiting: deque[Job] = field(default_factory=deque)
    _running: dict[int, _Sequence] = field(default_factory=dict)
    _step: _Step | None = None

    def __post_init__(self) -> None:
        self.cache = PrefixCache(self.service.cache_blocks)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def next_s(self) -> float | None:
        """When `advance` has something to say; None while idle."""
        return self._step.end_s if self._step else None

    def can_hold(self, job: Job) -> bool:
        return job.blocks <= self.cache.capacity_blocks

    def submit(self, job: Job, now_s: float) -> None:
        """Takes a job that it can hold; all that happened before `now_s` has been fetched."""
        self._waiting.append(job)
        if self._step is None:
            self._begin(now_s)
        else:
            self._step = self._step.cut(now_s)

    def cancel(self, job_id: int) -> None:
        """Forgets a job whose client has left; one that has ended already is no fault."""
        self._waiting = deque(job for job in self._waiting if job.id != job_id)
        sequence = self._running.pop(job_id, None)
        if sequence is not None:
            self.cache.release(sequence.holding)

    def advance(self, now_s: float) -> list[Progress]:
        """What came out until `now_s`. The next step begins when the last one ended, however late
        this is called.
        """
        out: list[Progress] = []
        while self._step is not None and self._step.end_s <= now_s:
            step, self._step = self._step, None
            self.counters.busy_s += step.end_s - step.start_s
            out.extend(self._finish(step))
            self._begin(step.end_s)
        return out

    def _begin(self, start_s: float) -> None:
        decoding = tuple(s for s in self._running.values() if not s.prefill_left)
        prefills = tuple(self._prefills(self.service.batch_tokens - len(decoding)))
        if not decoding and not prefills:
            return
        tokens = sum(count for _, count in prefills)
        times = 1
        if not prefills:
            left = min(sequence.output_left for sequence in decoding)
            times = min(left, self.service.stream_interval)
        each_s = self.service.step_time_s(tokens, len(decoding))
        self._step = _Step(start_s, each_s, times, decoding, prefills)

    def _prefills(self, budget: int) -> Iterator[tuple[_Sequence, int]]:
        """Who gets how many prompt tokens of the next step."""
        for sequence in [s for s in self._running.values() if s.prefill_left]:
            if budget > 0:
                share = min(budget, sequence.prefill_left)
                budget -= share
                yield sequence, share
        while budget > 0 and self._waiting and len(self._running) < self.service.sequences:
            admitted = self._admit(self._waiting[0])
            if admitted is None:
                return
            self._waiting.popleft()
            share = min(budget, admitted.prefill_left)
            budget -= share
            yield admitted, share

    def _admit(self, job: Job) -> _Sequence | None:
        # The last token is always computed, so a prompt that is whole blocks leaves one out.
        usable = job.keys[: (job.prompt_tokens - 1) // BLOCK_TOKENS]
        holding = self.cache.take(usable, job.blocks)
        if holding is None:
            return None
        cached = len(holding.keys) * BLOCK_TOKENS
        sequence = _Sequence(job, holding, cached, cached)
        self._running[job.id] = sequence
        self.counters.prompt_tokens += job.prompt_tokens
        self.counters.cached_tokens += cached
        return sequence

    def _finish(self, step: _Step) -> Iterator[Progress]:
        for sequence, tokens in step.prefills:
            if sequence.job.id in self._running:
                yield from self._prefilled(sequence, tokens)
        for sequence in step.decoding:
            if sequence.job.id in self._running:
                yield self._produced(sequence, step.times)

    def _prefilled(self, sequence: _Sequence, tokens: int) -> Iterator[Progress]:
        before = sequence.computed_tokens // BLOCK_TOKENS
        sequence.computed_tokens += tokens
        after = sequence.computed_tokens // BLOCK_TOKENS
        self.cache.publish(sequence.holding, sequence.job.keys[before:after])
        if not sequence.prefill_left:
            yield self._produced(sequence, 1)

    def _produced(self, sequence: _Sequence, tokens: int) -> Progress:
        sequence.produced_tokens += tokens
        self.counters.output_tokens += tokens
        is_last = not sequence.output_left
        if is_last:
            del self._running[sequence.job.id]
            self.cache.release(sequence.holding)
            self.counters.finished += 1
        return Progress(sequence.job.id, tokens, sequence.cached_tokens, is_last)
