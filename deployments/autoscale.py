"""Decides how many replicas each model should have, from what clients ask of it. Pure: the demand,
the pool, what was remembered and the clock in; the next counts and their reasons out.

Rules
1. No model is below its `min` or above its `max`, and no accelerator is promised twice.
2. What one look decides is small: one replica that takes the place of others, or one less; or, into
   accelerators that are free, up to `MOST_GROWTHS`; the next look goes on with what is left.
3. Growth is prompt: what was wanted at all times for `GROW_AFTER_S` is decided. A surplus goes only
   after the model's own `idle_s`, unless another model has a use for it.
4. A model that has just grown does not shrink within `COOL_DOWN_S`, and the other way round.
5. Nobody knows a model's demand: it keeps what it has. A demand that cannot be true is not known.
6. After a gap between two looks, or a clock that went back, nothing is decided at once: what had
   lasted so far begins anew, and so does every cool-down.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import exp

from deployments.arbitration import Contender, Growth, arbitrate
from deployments.demand import Demand
from deployments.observation import WINDOW_S
from deployments.pool import Pool
from deployments.scaling_state import LONGEST_PAUSE_S, ModelState, ScalingState, changed
from deployments.sizing import Size, size
from deployments.terms import Terms

GROW_AFTER_S = 10.0
#: Each asks the real placement, which takes its time on a thousand nodes.
MOST_GROWTHS = 16
COOL_DOWN_S = 60.0
LOOK_PERIOD_S = 5.0
#: Between two looks.
MAX_GAP_S = 30.0
#: What arrivals are averaged over, to see whether they rise.
NOW_S = 30.0
BEFORE_S = 300.0
#: Fewer arrivals than this within `NOW_S` say nothing about a trend.
MIN_ARRIVALS = 10.0
#: Arrivals are not believed to grow by more than this while a replica starts.
MAX_RISE = 1.5

#: None where nobody could look.
Demands = Mapping[str, Demand | None]


@dataclass(frozen=True, slots=True)
class Change:
    """Another number of replicas for one model."""

    model: str
    before: int
    after: int
    why: str

    def __str__(self) -> str:
        return f"{self.model} {self.before} -> {self.after}: {self.why}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from one look."""

    scaling: ScalingState
    #: Empty when everything stays; those that give come before those that take.
    changes: tuple[Change, ...]
    #: The replicas that have to go for it.
    leaving: tuple[str, ...]
    #: The arithmetic of every model, whether or not it changes.
    why: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Look:
    """One model now."""

    model: str
    terms: Terms
    #: With what this look has seen.
    state: ModelState
    #: None where nobody knows the demand.
    size: Size | None

    def why(self) -> str:
        """The arithmetic for an operator."""
        if self.size is None:
            return f"{self.state.count}: nobody knows its demand, so it keeps what it has"
        return f"{self.state.count}: {self.size.why}"

    def contender(self, now_s: float) -> Iterator[Contender]:
        """Its part in the arbitration, where its demand is known."""
        if self.size is not None:
            yield Contender(
                model=self.model,
                terms=self.terms,
                count=self.state.count,
                load=self.size.load,
                wanted=self.wanted(self.size),
                may_grow=self._may_turn(1, now_s) and self._is_short_for_long(now_s),
                may_shrink=self._may_turn(-1, now_s),
            )

    def wanted(self, found: Size) -> int:
        """No more than at all times of a shortage: one look may be wrong."""
        return found.wanted if self.state.short_since_s is None else self.state.short_to

    def is_released(self, now_s: float) -> bool:
        """Whether a replica was surplus for long enough."""
        since_s = self.state.spare_since_s
        is_over = since_s is not None and now_s - since_s >= self.terms.idle_s
        return is_over and self._may_turn(-1, now_s)

    def _may_turn(self, direction: int, now_s: float) -> bool:
        """Rule 4."""
        turns = self.state.direction == -direction
        return not turns or now_s - self.state.changed_s >= COOL_DOWN_S

    def _is_short_for_long(self, now_s: float) -> bool:
        since_s = self.state.short_since_s
        is_short = since_s is not None and now_s - since_s >= GROW_AFTER_S
        return is_short and now_s >= self.state.paused_until_s


def autoscale(
    terms: Mapping[str, Terms], pool: Pool, demands: Demands, before: ScalingState, now_s: float
) -> Decision:
    """The next counts of all models that the fleet has."""
    remembered = _begun_anew(before, now_s)
    looks = {model: _look(model, each, demands, remembered, now_s) for model, each in terms.items()}
    changes, leaving = _changes(looks, pool, now_s)
    states = {model: look.state for model, look in looks.items()}
    for change in changes:
        states[change.model] = _changed(looks[change.model], change.after, now_s)
    why = {model: look.why() for model, look in looks.items()}
    return Decision(ScalingState(now_s, states), changes, leaving, why)


def _changes(
    looks: Mapping[str, _Look], pool: Pool, now_s: float
) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """Growth goes first: it may need what would be released."""
    contenders = [each for look in looks.values() for each in look.contender(now_s)]
    growths = list(_growths(contenders, pool))
    if growths:
        leaving = tuple(name for growth in growths for name in growth.leaving)
        return tuple(_grown(looks, growths)), leaving
    surplus = [each for each in contenders if looks[each.model].is_released(now_s)]
    if not surplus:
        return (), ()
    least = min(surplus, key=lambda each: (each.loss() / each.terms.accelerators, each.model))
    why = f"a replica was surplus for {least.terms.idle_s:.0f} s"
    return (_change(looks[least.model], -1, why),), ()


def _growths(contenders: list[Contender], pool: Pool) -> Iterator[Growth]:
    """Rule 2: one that takes from others, or those that there is room for."""
    by_model = {each.model: each for each in contenders}
    for at in range(MOST_GROWTHS):
        growth = arbitrate(by_model.values(), pool)
        if growth is None or (at and growth.givers):
            return
        yield growth
        if growth.givers:
            return
        by_model[growth.model] = by_model[growth.model].grown()
        pool = growth.pool


def _grown(looks: Mapping[str, _Look], growths: list[Growth]) -> Iterator[Change]:
    """What each model gives or gets, with the reason of the first."""
    for growth in growths:
        for model, count in growth.givers.items():
            yield _change(looks[model], -count, f"makes room for {growth.model}")
    for model, count in Counter(growth.model for growth in growths).items():
        why = next(growth.why for growth in growths if growth.model == model)
        yield _change(looks[model], count, why)


def _changed(look: _Look, count: int, now_s: float) -> ModelState:
    """Rule 2: what is left of a shortage has lasted as long as the whole."""
    after = changed(look.state, count, now_s)
    is_left = look.state.count < count < look.state.short_to
    return replace(after, short_since_s=look.state.short_since_s) if is_left else after


def _change(look: _Look, by: int, why: str) -> Change:
    count = look.state.count
    return Change(look.model, count, count + by, f"{look.why()}; {why}")


def _begun_anew(before: ScalingState, now_s: float) -> ScalingState:
    """Rule 6."""
    if 0 <= now_s - before.at_s <= MAX_GAP_S:
        return before
    models = {
        model: replace(
            state,
            changed_s=now_s,
            short_since_s=None,
            spare_since_s=None,
            ready_since_s=now_s,
            paused_until_s=min(state.paused_until_s, now_s + LONGEST_PAUSE_S),
        )
        for model, state in before.models.items()
    }
    return ScalingState(now_s, models)


def _look(
    model: str, terms: Terms, demands: Demands, remembered: ScalingState, now_s: float
) -> _Look:
    known = remembered.models.get(model) or ModelState(terms.min)
    # The fleet may allow less or ask for more by now.
    state = replace(known, count=terms.clipped(known.count))
    demand = demands.get(model)
    if demand is None or not demand.is_sound:
        return _Look(model, terms, replace(state, short_since_s=None, spare_since_s=None), None)
    state = _with_arrivals(state, demand, now_s - remembered.at_s)
    state = _with_ready(state, demand, now_s)
    found = size(_believed(demand, state, now_s), terms, _rise(state))
    return _Look(
        model, terms, _with_surplus(_with_shortage(state, found, now_s), found, now_s), found
    )


def _with_shortage(state: ModelState, found: Size, now_s: float) -> ModelState:
    """Only what was wanted at all times was short."""
    if found.wanted <= state.count:
        return replace(state, short_since_s=None)
    if state.short_since_s is None:
        return replace(state, short_since_s=now_s, short_to=found.wanted)
    return replace(state, short_to=min(state.short_to, found.wanted))


def _with_surplus(state: ModelState, found: Size, now_s: float) -> ModelState:
    """Only what was too many at all times was surplus."""
    if found.enough >= state.count:
        return replace(state, spare_since_s=None)
    if state.spare_since_s is None:
        return replace(state, spare_since_s=now_s, spare_to=found.enough)
    return replace(state, spare_to=max(state.spare_to, found.enough))


def _with_ready(state: ModelState, demand: Demand, now_s: float) -> ModelState:
    since_s = now_s if demand.ready > state.ready else state.ready_since_s
    return replace(state, ready=demand.ready, ready_since_s=since_s)


def _believed(demand: Demand, state: ModelState, now_s: float) -> Demand:
    """A first token that was waited for while there were fewer replicas says nothing of how many
    are needed now.
    """
    wait_s = demand.first_token_s
    if wait_s is None or now_s - state.ready_since_s >= wait_s + WINDOW_S:
        return demand
    return replace(demand, first_token_s=None)


def _with_arrivals(state: ModelState, demand: Demand, elapsed_s: float) -> ModelState:
    """Two means that forget at their own pace. Without a past there is no trend."""
    rate = demand.arrivals_per_s
    if not state.arrivals_before_per_s:
        return replace(state, arrivals_now_per_s=rate, arrivals_before_per_s=rate)
    short, long = state.arrivals_now_per_s, state.arrivals_before_per_s
    return replace(
        state,
        arrivals_now_per_s=short + (rate - short) * (1 - exp(-elapsed_s / NOW_S)),
        arrivals_before_per_s=long + (rate - long) * (1 - exp(-elapsed_s / BEFORE_S)),
    )


def _rise(state: ModelState) -> float:
    """What arrivals will have grown by, if they go on as they do."""
    now, before = state.arrivals_now_per_s, state.arrivals_before_per_s
    if now * NOW_S < MIN_ARRIVALS:
        return 1.0
    return min(max(now / max(before, now / MAX_RISE), 1.0), MAX_RISE)
