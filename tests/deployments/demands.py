"""Demands and pools that tests make, and a cluster that does what is decided."""

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import strategies as st

from cluster.placement import Ask, Room, place
from deployments.autoscale import Decision, autoscale
from deployments.demand import Demand
from deployments.pool import Pool
from deployments.scaling_state import ScalingState
from deployments.terms import Terms

DEMANDS = st.builds(
    Demand,
    ready=st.integers(0, 9),
    running=st.integers(0, 99),
    waiting=st.integers(0, 99),
    queued=st.integers(0, 99),
    tokens_in_flight=st.integers(0, 10**6),
    kv_use=st.floats(0, 1),
    arrivals_per_s=st.floats(0, 99),
    first_token_s=st.none() | st.floats(0, 99),
)
#: A load of one replica is ten requests of its batch.
SEQUENCES = 125
REQUESTS_PER_REPLICA = 100
LOOK_S = 5.0


def demand(load: float) -> Demand:
    """That takes so many replicas of a batch."""
    return Demand(running=round(load * REQUESTS_PER_REPLICA))


class Site:
    """Nodes on which every decision is done at once; placed by the real placement, which must not
    need to move anything for it.
    """

    def __init__(
        self,
        nodes: list[int],
        terms: Mapping[str, Terms],
        shapes: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        self.rooms = tuple(Room(f"n{at}", count) for at, count in enumerate(nodes))
        self.terms = {name: replace(each, sequences=SEQUENCES) for name, each in terms.items()}
        shapes = shapes or {}
        self.more = {
            name: Ask(name, name, *shapes.get(name, (each.accelerators, 1)))
            for name, each in terms.items()
        }
        self.running: tuple[Ask, ...] = ()
        self.state = ScalingState()
        self.now_s = 1_000_000.0
        #: (when, model, by how many)
        self.history: list[tuple[float, str, int]] = []
        for name, each in terms.items():
            self._start([name] * each.min)

    @property
    def counts(self) -> dict[str, int]:
        models = [ask.model for ask in self.running]
        return {name: models.count(name) for name in self.terms}

    def look(self, demands: Mapping[str, Demand | None], after_s: float = LOOK_S) -> Decision:
        """One look, and what follows from it."""
        self.now_s += after_s
        pool = Pool(self.rooms, self.running, self.more)
        made = autoscale(self.terms, pool, demands, self.state, self.now_s)
        self.state = made.scaling
        self._apply(made)
        return made

    def looks(self, demands: Mapping[str, Demand | None], for_s: float) -> None:
        for _ in range(int(for_s / LOOK_S)):
            self.look(demands)

    def _apply(self, made: Decision) -> None:
        gone = set(made.leaving)
        self.running = tuple(ask for ask in self.running if ask.replica not in gone)
        for change in made.changes:
            self.history.append((self.now_s, change.model, change.after - change.before))
            while self.counts[change.model] > change.after:
                last = [ask for ask in self.running if ask.model == change.model][-1]
                self.running = tuple(ask for ask in self.running if ask is not last)
        grown = [[each.model] * (each.after - self.counts[each.model]) for each in made.changes]
        self._start([model for models in grown for model in models])

    def _start(self, models: list[str]) -> None:
        """All of them at once, as a plan does."""
        new: list[Ask] = []
        for model in models:
            names = {ask.replica for ask in (*self.running, *new)}
            name = next(n for at in range(10**6) if (n := f"{model}.{at}") not in names)
            new.append(replace(self.more[model], replica=name))
        places = place(self.rooms, [*self.running, *new]).places
        assert all(ask.replica in places for ask in new), "one has no place"
        assert all(places[ask.replica] == ask.current for ask in self.running), "something moved"
        placed = (replace(ask, current=places[ask.replica]) for ask in new)
        self.running = (*self.running, *placed)
