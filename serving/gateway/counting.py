"""What a gateway counts of each model for whoever watches it: additions on the path of a request,
values when somebody asks.

The models are those of the catalogue, so a client cannot make one up: a name that is none is
refused before it comes here.
"""

from bisect import bisect_left

from serving import histogram
from serving.counts import OUTCOMES, ModelCounts, Times
from serving.usage import UsageRecord

_PLACE = {outcome: place for place, outcome in enumerate(OUTCOMES)}


class _Clock:
    """Times of one kind."""

    __slots__ = ("_bounds_s", "_counts", "_sum_s")

    def __init__(self, bounds_s: tuple[float, ...] = histogram.BOUNDS_S) -> None:
        self._bounds_s = bounds_s
        self._counts = [0] * histogram.BUCKETS
        self._sum_s = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds_s, seconds)] += 1  # `histogram.bucket`, inlined
        self._sum_s += seconds

    def times(self) -> Times:
        return Times(tuple(self._counts), self._sum_s)


class ModelCounter:
    """Of the requests that ask for one model."""

    __slots__ = (
        "_between_tokens",
        "_cached_tokens",
        "_completion_tokens",
        "_durations",
        "_fallbacks",
        "_first_tokens",
        "_model",
        "_outcomes",
        "_prompt_tokens",
        "_retries",
    )

    def __init__(self, model: str) -> None:
        self._model = model
        self._outcomes = [0] * len(OUTCOMES)
        self._fallbacks = self._retries = 0
        self._prompt_tokens = self._cached_tokens = self._completion_tokens = 0
        self._durations = _Clock()
        self._first_tokens = _Clock()
        self._between_tokens = _Clock(histogram.TOKEN_BOUNDS_S)

    def add(self, record: UsageRecord, first_token_s: float | None) -> None:
        """`first_token_s` is None where no stream began."""
        self._outcomes[_PLACE[record.outcome]] += 1
        self._fallbacks += record.model_answered != record.model_asked
        if record.attempts > 1:
            self._retries += record.attempts - 1
        self._prompt_tokens += record.prompt_tokens
        self._cached_tokens += record.cached_tokens
        self._completion_tokens += record.completion_tokens
        self._durations.add(record.duration_s)
        if first_token_s is not None:
            self._first_tokens.add(first_token_s)
            if record.completion_tokens > 1:
                streamed_s = record.duration_s - first_token_s
                self._between_tokens.add(streamed_s / (record.completion_tokens - 1))

    def counts(self) -> ModelCounts:
        return ModelCounts(
            model=self._model,
            outcomes=tuple(self._outcomes),
            fallbacks=self._fallbacks,
            retries=self._retries,
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached_tokens,
            completion_tokens=self._completion_tokens,
            durations=self._durations.times(),
            first_tokens=self._first_tokens.times(),
            between_tokens=self._between_tokens.times(),
        )


class ModelCounters:
    """Of all models that were ever asked for."""

    def __init__(self) -> None:
        self._by_model: dict[str, ModelCounter] = {}

    def add(self, record: UsageRecord, first_token_s: float | None) -> None:
        """Takes the one record of a request that has ended."""
        counter = self._by_model.get(record.model_asked)
        if counter is None:
            counter = self._by_model[record.model_asked] = ModelCounter(record.model_asked)
        counter.add(record, first_token_s)

    def counts(self) -> tuple[ModelCounts, ...]:
        return tuple(counter.counts() for counter in self._by_model.values())
