"""What was counted of each model: values that only grow, their sums and their differences. Pure.

A gateway counts since its start and tells the whole, so a report that is lost costs nothing. The
sum over gateways is kept by `Totals`, from differences: a gateway that goes takes nothing away.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from serving import histogram
from serving.usage import Outcome

OUTCOMES = tuple(Outcome)
_NONE = (0,) * histogram.BUCKETS


@dataclass(frozen=True, slots=True)
class Times:
    """Times in the buckets of `serving.histogram`, and their sum in seconds."""

    counts: tuple[int, ...] = _NONE
    sum_s: float = 0.0

    def plus(self, other: "Times", sign: int = 1) -> "Times":
        pairs = zip(self.counts, other.counts, strict=True)
        counts = tuple(mine + sign * theirs for mine, theirs in pairs)
        return Times(counts, self.sum_s + sign * other.sum_s)


@dataclass(frozen=True, slots=True)
class ModelCounts:
    """Of the requests that asked for one public model, whoever answered."""

    model: str
    #: Requests that were accepted and have ended, in the order of `OUTCOMES`.
    outcomes: tuple[int, ...] = (0,) * len(OUTCOMES)
    #: Answered by another model, whose window is larger or which had a replica.
    fallbacks: int = 0
    #: Tries at a second replica and further ones.
    retries: int = 0
    prompt_tokens: int = 0
    #: Of the prompts' tokens, those that were in a replica's cache.
    cached_tokens: int = 0
    completion_tokens: int = 0
    #: From the request to its end.
    durations: Times = field(default_factory=Times)
    #: From the request to its first token, of streams.
    first_tokens: Times = field(default_factory=Times)
    #: Between two tokens on average, of each stream; in the finer buckets.
    between_tokens: Times = field(default_factory=Times)

    def plus(self, other: "ModelCounts", sign: int = 1) -> "ModelCounts":
        """Both together; with -1 what came since the other."""
        pairs = zip(self.outcomes, other.outcomes, strict=True)
        return ModelCounts(
            model=self.model,
            outcomes=tuple(mine + sign * theirs for mine, theirs in pairs),
            fallbacks=self.fallbacks + sign * other.fallbacks,
            retries=self.retries + sign * other.retries,
            prompt_tokens=self.prompt_tokens + sign * other.prompt_tokens,
            cached_tokens=self.cached_tokens + sign * other.cached_tokens,
            completion_tokens=self.completion_tokens + sign * other.completion_tokens,
            durations=self.durations.plus(other.durations, sign),
            first_tokens=self.first_tokens.plus(other.first_tokens, sign),
            between_tokens=self.between_tokens.plus(other.between_tokens, sign),
        )

    def minus(self, before: "ModelCounts") -> "ModelCounts":
        return self.plus(before, -1)

    @property
    def requests(self) -> int:
        return sum(self.outcomes)

    def ended_as(self, *outcomes: Outcome) -> int:
        return sum(self.outcomes[OUTCOMES.index(outcome)] for outcome in outcomes)


class Totals:
    """What all gateways counted together since somebody listens. Mutable: one owner."""

    def __init__(self) -> None:
        self.by_model: dict[str, ModelCounts] = {}
        #: The last word of each gateway, and when it came.
        self._last: dict[str, tuple[float, dict[str, ModelCounts]]] = {}

    def add(self, gateway_id: str, counts: Iterable[ModelCounts], now_s: float) -> None:
        """Takes a gateway's counts. The first of one that is not known are where it starts from:
        whoever listened before has had them.
        """
        now = {each.model: each for each in counts}
        known = self._last.get(gateway_id)
        self._last[gateway_id] = now_s, now
        if known is None:
            return
        for model, each in now.items():
            came = each.minus(known[1].get(model, ModelCounts(model)))
            self.by_model[model] = came.plus(self.by_model.get(model, ModelCounts(model)))

    def forget(self, now_s: float, after_s: float) -> None:
        """Gateways that were not heard of for so long: they are gone, what they counted stays."""
        self._last = {name: last for name, last in self._last.items() if now_s - last[0] <= after_s}
