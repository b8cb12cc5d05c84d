"""One replica's engine as a server of steps: continuous batching with chunked prefill. Pure.

Rules (vLLM 0.32.0, v1/core/sched/scheduler.py)
1. A step makes a token for every sequence that is decoding and fills what is left of its tokens
   with prompts: first those begun, then new ones in the order in which they came.
2. A request begins when there is a sequence free, and room for its whole prompt in the cache.
3. The step that computes a prompt's last token makes its first one. The engine decides again only
   between steps.
4. A request that has waited longer than anybody waits for it does not begin.
5. Where decoding finds no room, the request that began last loses all it has and waits in front;
   when it begins again its prompt and what it had written are computed anew.

Steps that only decode change nothing but lengths, so all of them up to the next thing that happens
are one stretch, whatever their number. Something new cuts a stretch at the end of the step under
way.
"""

from collections import deque
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from math import ceil

from deployments.simulation.prefix_cache import PrefixCache
from deployments.simulation.service_time import ServiceTime
from deployments.simulation.trace import Arrival


@dataclass(slots=True, eq=False)
class Work:
    """One request at an engine."""

    arrival: Arrival
    #: Its blocks, as the engine's cache names them.
    blocks: tuple[int, ...]
    #: To compute: the prompt, and after an interruption also what was written before it.
    prompt_tokens: int
    #: To write.
    left_tokens: int
    computed_tokens: int = 0
    #: Of the prompt, found in the cache when it first began.
    found_tokens: int | None = None
    #: Blocks that it holds besides named ones.
    nameless: int = 0
    #: The engine's step with which it ends, once it decodes.
    last_step: int = 0
    first_token_s: float | None = None
    ended_s: float | None = None

    @classmethod
    def of(cls, arrival: Arrival, blocks: tuple[int, ...]) -> "Work":
        return cls(arrival, blocks, arrival.prompt_tokens, arrival.output_tokens)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Steps under way, all of them alike."""

    begin_s: float
    steps: int
    step_s: float
    #: Prompt tokens that the one step of a stretch with prompts computes.
    chunks: tuple[tuple[Work, int], ...] = ()

    @property
    def end_s(self) -> float:
        return self.begin_s + self.steps * self.step_s


@dataclass(frozen=True, slots=True)
class Progress:
    """What the end of a stretch brought."""

    #: Requests that have their first token now.
    began: tuple[Work, ...]
    #: Requests that this was the end of, with `ended_s` where they were answered.
    ended: tuple[Work, ...]


_NONE = Progress((), ())


@dataclass(slots=True, eq=False)
class Engine:
    """What one replica works on."""

    time: ServiceTime
    cache: PrefixCache
    #: Of the trace.
    block_tokens: int
    #: How long a request may wait, from its arrival at a gateway on.
    patience_s: float
    preempted: int = 0
    #: Steps made so far.
    steps: int = 0
    waiting: deque[Work] = field(default_factory=deque)
    #: Those that began, in that order.
    _begun: dict[Work, None] = field(default_factory=dict)
    _prompting: deque[Work] = field(default_factory=deque)
    #: By the step with which they end.
    _decoding: list[tuple[int, int, Work]] = field(default_factory=list)
    #: Of the decoding ones together.
    _context_tokens: int = 0
    #: How many of them need a block more in the steps with this remainder.
    _growing: list[int] = field(init=False)
    _stretch: _Stretch | None = None
    _order: int = 0

    def __post_init__(self) -> None:
        self._growing = [0] * self.time.cache.block_tokens

    @property
    def next_s(self) -> float | None:
        """When something happens by itself; None while there is nothing to do."""
        return self._stretch.end_s if self._stretch else None

    @property
    def running(self) -> int:
        return len(self._begun)

    @property
    def tokens_in_flight(self) -> int:
        """Prompts, and what was written so far, of all that is here."""
        undecoded = (*self.waiting, *self._prompting)
        return self._context_tokens + sum(work.prompt_tokens for work in undecoded)

    @property
    def _named_tokens(self) -> int:
        """Of a block that the cache can name: the larger one of the trace's and the engine's."""
        return max(self.block_tokens, self.time.cache.block_tokens)

    def named(self, blocks: tuple[int, ...]) -> tuple[int, ...]:
        """A trace's blocks as the cache names them. An id stands for all that comes before it, so
        of several in one block of the engine the last one is its name.
        """
        every = self._named_tokens // self.block_tokens
        return blocks[every - 1 :: every]

    def can_ever_hold(self, arrival: Arrival) -> bool:
        """Whether the empty cache has room for it."""
        return self._blocks(arrival.prompt_tokens + arrival.output_tokens) <= self.cache.capacity

    def add(self, work: Work, now_s: float) -> None:
        """A request has come; it can be held."""
        self.waiting.append(work)
        stretch = self._stretch
        if stretch is None:
            self._begin(now_s)
        elif not stretch.chunks and len(self._begun) < self.time.batch.sequences:
            self._stretch = _cut(stretch, now_s)

    def leave(self) -> list[Work]:
        """Everything that is here; the engine is gone."""
        left = [*self._begun, *self.waiting]
        self._stretch = None
        return left

    def advance(self) -> Progress:
        """Ends the steps under way, and begins the next ones."""
        stretch = self._stretch
        if stretch is None:
            return _NONE
        now_s = stretch.end_s
        ended = self._decoded(stretch.steps, now_s)
        began = [work for work, tokens in stretch.chunks if self._computed(work, tokens)]
        for work in began:
            ended += self._token(work, now_s)
        ended += self._late(now_s)
        self._begin(now_s)
        return Progress(tuple(began), tuple(ended))

    def _computed(self, work: Work, tokens: int) -> bool:
        """Whether that was the rest of its prompt."""
        work.computed_tokens += tokens
        if work.computed_tokens < work.prompt_tokens:
            return False
        self._prompting.remove(work)
        return True

    def _late(self, now_s: float) -> list[Work]:
        """Rule 4. Only those in front are looked at: the others came later."""
        late = []
        while self.waiting and self._is_late(self.waiting[0], now_s):
            late.append(self.waiting.popleft())
        return late

    def _is_late(self, work: Work, now_s: float) -> bool:
        return work.first_token_s is None and now_s - work.arrival.at_s > self.patience_s

    def _decoded(self, steps: int, now_s: float) -> list[Work]:
        grown = self._growth(steps)
        self.steps += steps
        self._context_tokens += steps * len(self._decoding)
        # Room for this was made sure of when the stretch began.
        self.cache.grow(grown)
        done = []
        while self._decoding and self._decoding[0][0] <= self.steps:
            work = heappop(self._decoding)[2]
            self._stop_decoding(work, left_tokens=0)
            done.append(self._finished(work, now_s))
        return done

    def _token(self, work: Work, now_s: float) -> list[Work]:
        """The one that comes with the end of its prompt."""
        if work.first_token_s is None:
            work.first_token_s = now_s + self.time.overhead_s
        work.left_tokens -= 1
        if not work.left_tokens:
            return [self._finished(work, now_s)]
        work.last_step = self.steps + work.left_tokens
        self._order += 1
        heappush(self._decoding, (work.last_step, self._order, work))
        self._context_tokens += work.prompt_tokens
        self._growing[self._remainder(work)] += 1
        return []

    def _finished(self, work: Work, now_s: float) -> Work:
        work.ended_s = now_s + self.time.overhead_s
        self._release(work)
        return work

    def _release(self, work: Work) -> None:
        del self._begun[work]
        self.cache.give_back(work.blocks, work.nameless)

    def _stop_decoding(self, work: Work, left_tokens: int) -> None:
        """Settles what it wrote since its prompt was computed."""
        written = work.left_tokens - left_tokens
        self._context_tokens -= work.prompt_tokens + written
        self._growing[self._remainder(work)] -= 1
        work.nameless += self._blocks(work.prompt_tokens + written) - self._blocks(
            work.prompt_tokens
        )
        work.left_tokens = left_tokens

    def _remainder(self, work: Work) -> int:
        """Of the steps that put its first token into a new block: the one whose place follows a
        whole number of blocks.
        """
        began = work.last_step - work.left_tokens
        return (began + 1 - work.prompt_tokens) % self.time.cache.block_tokens

    def _growth(self, steps: int) -> int:
        """Blocks that so many steps of decoding take."""
        size = self.time.cache.block_tokens
        rounds, rest = divmod(steps, size)
        first = self.steps + 1
        partial = sum(self._growing[at % size] for at in range(first, first + rest))
        return rounds * len(self._decoding) + partial

    def _begin(self, now_s: float) -> None:
        """The next steps."""
        while self._decoding and self._growth(1) > self.cache.available:
            self._preempt()
        chunks = tuple(self._chunks())
        n = len(self._decoding)
        if not chunks and not n:
            self._stretch = None
            return
        step_s = self.time.step_s[n] + self.time.context_token_s * self._context_tokens
        if chunks:
            work_s = (
                self.time.prompt_s(work.computed_tokens, work.computed_tokens + tokens)
                for work, tokens in chunks
            )
            self._stretch = _Stretch(now_s, 1, step_s + sum(work_s), chunks)
            return
        steps = self._steps_with_room(self._decoding[0][0] - self.steps)
        # Contexts grow by one each step: the mean of all steps stands for each.
        step_s += self.time.context_token_s * n * (steps - 1) / 2
        self._stretch = _Stretch(now_s, steps, step_s)

    def _chunks(self) -> list[tuple[Work, int]]:
        """The prompts of the next step. Blocks that decoding needs in it are left."""
        budget = max(self.time.batch.tokens - len(self._decoding), 0)
        chunks = []
        for work in self._prompting:
            chunks.append((work, tokens := min(work.prompt_tokens - work.computed_tokens, budget)))
            budget -= tokens
        while budget > 0 and self.waiting and len(self._begun) < self.time.batch.sequences:
            work = self.waiting[0]
            if not self._starts(work):
                break
            self.waiting.popleft()
            self._prompting.append(work)
            chunks.append((work, tokens := min(work.prompt_tokens - work.computed_tokens, budget)))
            budget -= tokens
        return [(work, tokens) for work, tokens in chunks if tokens > 0]

    def _starts(self, work: Work) -> bool:
        """Takes its room in the cache, if there is enough."""
        found = self.cache.hits(work.blocks) * self._named_tokens
        # The last token is computed whatever is found.
        found = min(found, (work.prompt_tokens - 1) // self._named_tokens * self._named_tokens)
        named = len(work.blocks) * self._named_tokens // self.time.cache.block_tokens
        nameless = self._blocks(work.prompt_tokens) - named
        if not self.cache.take(work.blocks, nameless, spare=self._growth(1)):
            return False
        work.nameless = nameless
        work.computed_tokens = found
        if work.found_tokens is None:
            work.found_tokens = found
        self._begun[work] = None
        return True

    def _preempt(self) -> None:
        """Rule 5."""
        work = next(reversed(self._begun))
        if work in self._prompting:
            self._prompting.remove(work)
        else:
            self._decoding = [entry for entry in self._decoding if entry[2] is not work]
            heapify(self._decoding)
            written = work.left_tokens - (work.last_step - self.steps)
            self._stop_decoding(work, work.last_step - self.steps)
            # With the token that it wrote last, which no step has seen yet.
            work.prompt_tokens += written + 1
        self._release(work)
        work.computed_tokens = 0
        self.preempted += 1
        self.waiting.appendleft(work)

    def _steps_with_room(self, steps: int) -> int:
        """As many of these as the cache has room for; one at least, which was made sure of."""
        available = self.cache.available
        if self._growth(steps) <= available:
            return steps
        low, high = 1, steps
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._growth(middle) <= available else (low, middle)
        return low

    def _blocks(self, tokens: int) -> int:
        return -(-tokens // self.time.cache.block_tokens)


def _cut(stretch: _Stretch, now_s: float) -> _Stretch:
    """Only as many steps as have begun by now."""
    begun = ceil((now_s - stretch.begin_s) / stretch.step_s) if stretch.step_s > 0 else 1
    steps = min(max(begun, 1), stretch.steps)
    return _Stretch(stretch.begin_s, steps, stretch.step_s)
