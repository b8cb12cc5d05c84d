"""Who gets the next replica, and who gives up its accelerators for it. Pure.

Crowding. A load of L replicas on n of them is crowded L / n each, and L of them feel it: a model
costs w L^2 / n, a model without any replica as if it had half of one. Every replica more saves less
than the one before, so giving each next one to whoever saves most per accelerator comes to the
least sum (Fox 1966, marginal analysis of convex costs); shares end up in proportion to L sqrt(w).

Rules
1. A higher priority is served first. It takes from lower ones, down to their `min`, whatever they
   lose; a lower one never takes from it what it wants for itself.
2. Among equals a replica changes hands only when the taker saves `MARGIN` times what the givers
   lose, and who gains most per accelerator is served first.
3. What a model has beyond what it wants may be taken by anyone.
4. One replica more at a time, with those that go for it; nobody goes for nothing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from deployments.pool import Pool
from deployments.terms import Terms

#: Less than this is not worth two restarts, and what two models gain from each other in turn must
#: never both be above it.
MARGIN = 1.5
#: A model without a replica is as crowded as with this many.
NONE_AT_ALL = 0.5
#: What must go for a more important model goes by priority, then by loss.
_PRIORITY_STEP = 1e9


@dataclass(frozen=True, slots=True)
class Contender:
    """A model that takes part."""

    model: str
    terms: Terms
    count: int
    #: In replicas.
    load: float
    wanted: int
    may_grow: bool
    may_shrink: bool

    def grown(self) -> "Contender":
        """With one replica more, which it keeps."""
        return replace(self, count=self.count + 1, may_shrink=False)

    def gain(self) -> float:
        """What one replica more saves."""
        return self._crowding(self.count) - self._crowding(self.count + 1)

    def loss(self, taken: int = 1) -> float:
        """What so many replicas less cost."""
        return self._crowding(self.count - taken) - self._crowding(self.count)

    def _crowding(self, count: int) -> float:
        return self.terms.weight * self.load**2 / max(count, NONE_AT_ALL)


@dataclass(frozen=True, slots=True)
class Growth:
    """One replica more of a model, once others have gone."""

    model: str
    #: Replicas, by model.
    givers: Mapping[str, int]
    #: Their names.
    leaving: tuple[str, ...]
    why: str
    #: With the one and without the others.
    pool: Pool


def arbitrate(contenders: Iterable[Contender], pool: Pool) -> Growth | None:
    """The growth that comes next, or None when nobody may or can grow."""
    by_model = {each.model: each for each in contenders}
    growing = [each for each in by_model.values() if each.may_grow and each.count < each.wanted]
    for taker in sorted(growing, key=_turn):
        growth = _growth(taker, by_model, pool)
        if growth is not None:
            return growth
    return None


def _turn(taker: Contender) -> tuple[int, float, str]:
    return -taker.terms.priority, -taker.gain() / taker.terms.accelerators, taker.model


def _growth(taker: Contender, by_model: Mapping[str, Contender], pool: Pool) -> Growth | None:
    def price(model: str, taken: int) -> float | None:
        giver = by_model.get(model)
        return None if giver is None else _price(taker, giver, taken)

    cleared = pool.make_room(taker.model, price)
    if cleared is None:
        return None
    named = set(cleared.leaving)
    givers = Counter(ask.model for ask in pool.running if ask.replica in named)
    lost = sum(_loss_that_counts(taker, by_model[model], n) for model, n in givers.items())
    if taker.gain() <= MARGIN * lost:
        return None
    why = _why(taker, givers, lost)
    return Growth(taker.model, givers, cleared.leaving, why, cleared.pool)


def _price(taker: Contender, giver: Contender, taken: int) -> float | None:
    """What the search for room takes it for; None: rules 1 to 3 forbid it."""
    left = giver.count - taken - 1
    if giver.model == taker.model or not giver.may_shrink or left < giver.terms.min:
        return None
    if left >= giver.wanted:
        return giver.loss(taken + 1) - giver.loss(taken)
    if giver.terms.priority > taker.terms.priority:
        return None
    above = giver.terms.priority - taker.terms.priority
    # Equals come after all that are less important, and those by how little they are so.
    return _PRIORITY_STEP * (above + 1000) + giver.loss(taken + 1) - giver.loss(taken)


def _loss_that_counts(taker: Contender, giver: Contender, taken: int) -> float:
    """Rule 2: only an equal's loss, and only of what it wants for itself."""
    if giver.terms.priority < taker.terms.priority or giver.count - taken >= giver.wanted:
        return 0.0
    return giver.loss(taken)


def _why(taker: Contender, givers: Mapping[str, int], lost: float) -> str:
    size = taker.terms.accelerators
    gain = f"saves {taker.gain():.2f} on {size} accelerator{'s' if size > 1 else ''}"
    if not givers:
        return f"{gain}; there is room"
    taken = ", ".join(f"{count} of {model}" for model, count in sorted(givers.items()))
    return f"{gain}; takes {taken}, which loses {lost:.2f}"
