"""What autoscaling remembers from one look to the next, and how it is kept in a file. Pure.

The counts are what matters: they outlive a restart of the Controller and a new deploy. The times
are of a wall clock, since no other goes on over a restart; that it may jump is dealt with where it
is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite

import msgspec

#: A model whose new replica did not come up is left alone for this long; each further failure in a
#: row doubles it.
FIRST_PAUSE_S = 60.0
LONGEST_PAUSE_S = 1800.0
MAX_FAILURES = 10


@dataclass(frozen=True, slots=True)
class ModelState:
    """Of one model."""

    #: Replicas that should run.
    count: int
    #: When the count was last changed, and in which direction: 1, -1, or 0 when it never was.
    changed_s: float = 0.0
    direction: int = 0
    #: Since when more were wanted than there are, and how many were at all times since.
    short_since_s: float | None = None
    short_to: int = 0
    #: Since when fewer would have been enough, and how many would have been at all times since.
    spare_since_s: float | None = None
    spare_to: int = 0
    #: Replicas that took requests at the last look, and since when there are no more of them.
    ready: int = 0
    ready_since_s: float = 0.0
    #: Mean arrivals over a short and over a long time.
    arrivals_now_per_s: float = 0.0
    arrivals_before_per_s: float = 0.0
    #: Growths that failed in a row, and until when there is no other.
    failures: int = 0
    paused_until_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ScalingState:
    """Of all models."""

    #: The last look.
    at_s: float = 0.0
    models: Mapping[str, ModelState] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        return {model: state.count for model, state in self.models.items()}

    def with_counts(self, counts: Mapping[str, int], now_s: float) -> "ScalingState":
        """After something else than demand decided: a deploy, a node that left."""
        models = dict(self.models)
        for model, count in counts.items():
            before = models.get(model)
            if before is None:
                models[model] = ModelState(count)
            elif before.count != count:
                models[model] = changed(before, count, now_s)
        return replace(self, models=models)

    def with_failure(self, model: str, now_s: float, *, is_beyond: bool = True) -> "ScalingState":
        """A replica of a model did not come up; one beyond its `min` is given up."""
        before = self.models[model]
        failures = min(before.failures + 1, MAX_FAILURES)
        pause_s = min(FIRST_PAUSE_S * 2 ** (failures - 1), LONGEST_PAUSE_S)
        fewer = changed(before, max(before.count - 1, 0), now_s) if is_beyond else before
        back = replace(
            fewer,
            failures=failures,
            paused_until_s=now_s + pause_s,
        )
        return replace(self, models={**self.models, model: back})

    def with_success(self, model: str) -> "ScalingState":
        """The new replica of a model is up."""
        well = replace(self.models[model], failures=0, paused_until_s=0.0)
        return replace(self, models={**self.models, model: well})


def changed(state: ModelState, count: int, now_s: float) -> ModelState:
    """With another count, from now on. What has been surplus for long goes on to be so."""
    return replace(
        state,
        count=count,
        changed_s=now_s,
        direction=1 if count > state.count else -1,
        short_since_s=None,
        spare_since_s=state.spare_since_s if state.spare_to < count < state.count else None,
    )


def stored(scaling: ScalingState) -> str:
    """As a text for a file."""
    return msgspec.json.format(msgspec.json.encode(scaling), indent=1).decode()


def restored(text: str) -> ScalingState | None:
    """What a file says; None when it says nothing that could be true."""
    try:
        found = msgspec.json.decode(text.encode(), type=ScalingState)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None
    return found if all(_is_sound(each) for each in found.models.values()) else None


def _is_sound(state: ModelState) -> bool:
    figures = (
        state.changed_s,
        state.ready_since_s,
        state.arrivals_now_per_s,
        state.arrivals_before_per_s,
        state.paused_until_s,
    )
    return (
        state.count >= 0
        and state.short_to >= 0
        and state.spare_to >= 0
        and state.ready >= 0
        and state.direction in (-1, 0, 1)
        and 0 <= state.failures <= MAX_FAILURES
        and all(isfinite(each) and each >= 0 for each in figures)
    )
