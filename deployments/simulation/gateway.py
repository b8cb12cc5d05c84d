"""The gateways: where each request goes and when, by the real fallback walk, turns, routing and
retry rules. Pure.

Many gateways are simulated as one that knows of every request in flight and of every prompt: what
each knows of the others' requests, it would know from heartbeats a fraction of a second old.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial

from msgspec.structs import replace

from deployments.fleet import Fleet
from deployments.model import Served, Shared
from deployments.render import DEADLINE_S
from deployments.simulation.agenda import Agenda
from deployments.simulation.engine import Progress, Work
from deployments.simulation.line import Line
from deployments.simulation.record import Ending, Record
from deployments.simulation.replica import Replica
from deployments.simulation.request import Request
from deployments.simulation.trace import Arrival
from serving.context import Fits, Range, chain, choose
from serving.fairness.claim import Claim, Places
from serving.fairness.places import places
from serving.gateway.config import Routing
from serving.limits.terms import Priority
from serving.routing.prefix import NO_PREFIX, of_block_ids, space_of
from serving.routing.route import Answer, Ask, Choice, Dice, Router
from serving.routing.table import Slot, Table
from serving.snapshot import Phase

#: Requests of one model that wait for its first replica; the next one is refused.
MAX_QUEUED = 512


@dataclass(frozen=True, slots=True)
class PublicModel:
    """What a gateway knows of a model."""

    name: str
    replica_set: str
    window_tokens: int
    fallback: str | None


def public_models(fleet: Fleet) -> dict[str, PublicModel]:
    """Those that can be served."""
    found = {}
    for name, model in fleet.models.items():
        if isinstance(model, Served | Shared):
            owner = model.replicas_of if isinstance(model, Shared) else name
            found[name] = PublicModel(name, owner, model.max_model_len, model.fallback)
    return found


@dataclass(slots=True, eq=False)
class Gateway:
    """Every request that came, and what became of it."""

    agenda: Agenda
    models: Mapping[str, PublicModel]
    dice: Dice
    routing: Routing
    #: Of the trace.
    block_tokens: int
    records: list[Record] = field(default_factory=list)
    #: Requests so far, by replica set.
    came: Counter[str] = field(default_factory=Counter)
    #: By replica set, those that wait at gateways.
    queued: dict[str, deque[Request]] = field(default_factory=dict)
    #: By replica set, replicas that take requests.
    ready: Counter[str] = field(default_factory=Counter)
    _router: Router = field(default_factory=Router)
    _table: Table = field(default_factory=Table)
    _replicas: dict[str, Replica] = field(default_factory=dict)
    _under_way: dict[Work, Request] = field(default_factory=dict)
    _lines: dict[str, Line] = field(default_factory=dict)
    #: As of the newest reports.
    _places: dict[str, Places] = field(default_factory=dict)

    @property
    def unsettled(self) -> int:
        return self.came.total() - len(self.records)

    def arrive(self, arrival: Arrival) -> None:
        """A new request."""
        first = self.models[arrival.model]
        request = Request(arrival, first.replica_set)
        exact = Range(arrival.prompt_tokens, arrival.prompt_tokens)
        candidates = chain(self.models, first)
        ranges = {model.replica_set: exact for model in candidates}
        found = choose(candidates, ranges, arrival.output_tokens)
        if isinstance(found, Fits):
            request.replica_set = found.model.replica_set
        self.came[request.replica_set] += 1
        if isinstance(found, Fits):
            self._send(request)
        else:
            self._end(request, Ending.TOO_LONG)

    def joined(self, replicas: Sequence[Replica]) -> None:
        """Replicas are ready: those that waited for one go on."""
        for replica in replicas:
            self._replicas[replica.id] = replica
            self.ready[replica.model] += 1
        self._list()
        for model in dict.fromkeys(replica.model for replica in replicas):
            for request in self.queued.pop(model, ()):
                request.has_waited = True
                self._send(request)

    def left(self, replica: Replica) -> None:
        """A replica takes no more requests."""
        if self._replicas.pop(replica.id, None) is not None:
            self.ready[replica.model] -= 1
            self._list()

    def report(self) -> None:
        """Replicas say how many requests they run. Those that run all that come have no news."""
        for replica in self._replicas.values():
            slot = self._table.by_id[replica.id]
            if replica.engine.waiting or slot.capacity.running < replica.most_running:
                slot.update(replica.report())
        self._see_places()

    def waiting(self, replica_set: str) -> tuple[int, int]:
        """Requests that wait at gateways, and the tokens of their prompts."""
        queue, line = self.queued.get(replica_set, ()), self._line(replica_set)
        tokens = sum(request.arrival.prompt_tokens for request in queue)
        return len(queue) + line.waiting, tokens + line.waiting_tokens

    def heard(self, progress: Progress) -> None:
        """An engine has come further."""
        for work in progress.began:
            request = self._under_way[work]
            if request.flight is not None:
                request.flight.began()
            self._line(request.replica_set).began(request)
        for work in progress.ended:
            self._ended(self._under_way.pop(work), work)

    def _ended(self, request: Request, work: Work) -> None:
        request.landing.close()
        computed = work.arrival.prompt_tokens - (work.found_tokens or 0)
        if work.ended_s is None:
            self._line(request.replica_set).ended(request, 0)
            self._end(request, Ending.LATE)
        else:
            self._line(request.replica_set).ended(request, computed + work.arrival.output_tokens)
            self._learn(request, work)
            self._end(request, Ending.ANSWERED, work)

    def lost(self, replica: Replica, works: list[Work]) -> None:
        """A replica is gone with everything that it worked on: what has no token yet may be sent
        once more.
        """
        for work in works:
            request = self._under_way.pop(work)
            request.landing.close()
            request.attempts.failed(replica.id, was_taken=True)
            self._line(request.replica_set).ended(request, 0)
            if work.first_token_s is None and request.attempts.may_retry():
                self._send(request)
            else:
                self._end(request, Ending.CUT)

    def _send(self, request: Request) -> None:
        """To a replica, as soon as one has a place for it."""
        if not self.ready[request.replica_set]:
            self._queue(request)
            return
        line, arrival = self._line(request.replica_set), request.arrival
        claim = Claim(
            tenant="",
            weight=1,
            priority=Priority.STANDARD,
            prompt_tokens=arrival.prompt_tokens,
            answer_tokens=arrival.output_tokens,
            has_waited=request.has_waited,
        )
        if line.at_once(request, claim):
            self._dispatch(request)
            return
        # Where it has to be looked at closely: what is in a cache already is no work.
        choice = self._choose(request, self._ask(request))
        if choice is not None:
            claim = replace(claim, prompt_tokens=choice.prompt_tokens)
        if not line.wait(request, claim):
            self._end(request, Ending.OVERLOADED)

    def _choose(self, request: Request, ask: Ask) -> Choice | None:
        slots, tried = self._table.of(request.replica_set), request.attempts.tried
        return self._router.choose(slots, ask, tried, self.agenda.now_s, self.dice)

    def _dispatch(self, request: Request) -> None:
        """Its turn has come."""
        ask = self._ask(request)
        while request.attempts.may_retry():
            choice = self._choose(request, ask)
            if choice is None:
                break
            # One that the list has lost just now may be asked still, and refuses the connection.
            replica = self._replicas.get(choice.slot.replica_id)
            if replica is None or replica.is_full:
                request.attempts.failed(choice.slot.replica_id, was_taken=False)
                continue
            if replica.engine.can_ever_hold(request.arrival):
                self._hand_over(request, replica, choice)
            else:
                self._give_up(request, Ending.TOO_LONG)
            return
        self._give_up(request, Ending.OVERLOADED)

    def _give_up(self, request: Request, ending: Ending = Ending.OVERLOADED) -> None:
        self._line(request.replica_set).ended(request, 0)
        self._end(request, ending)

    def _line(self, replica_set: str) -> Line:
        line = self._lines.get(replica_set)
        if line is None:
            seen = partial(self._places_of, replica_set)
            line = Line(self.agenda, seen, self._dispatch, self._give_up)
            self._lines[replica_set] = line
        return line

    def _places_of(self, replica_set: str) -> Places:
        found = self._places.get(replica_set)
        if found is None:
            found = places(self._table.of(replica_set), self.agenda.now_s)
            self._places[replica_set] = found
        return found

    def _see_places(self) -> None:
        """Replicas have come or gone, or run more or less."""
        self._places.clear()
        for line in list(self._lines.values()):
            line.serve()

    def _ask(self, request: Request) -> Ask:
        """All traces are of one tenant."""
        arrival, prefix = request.arrival, NO_PREFIX
        if self.routing == "prefix":
            space = space_of("", request.replica_set)
            prefix = of_block_ids(space, arrival.blocks, self.block_tokens, arrival.prompt_tokens)
        return Ask(arrival.prompt_tokens, arrival.output_tokens, prefix)

    def _hand_over(self, request: Request, replica: Replica, choice: Choice) -> None:
        request.choice, request.landing = choice, ExitStack()
        request.flight = request.landing.enter_context(closing(self._router.send(choice)))
        work = Work.of(request.arrival, replica.engine.named(request.arrival.blocks))
        self._under_way[work] = request
        replica.take(work)

    def _learn(self, request: Request, work: Work) -> None:
        if request.choice is not None:
            arrival, found = request.arrival, work.found_tokens
            answer = Answer(arrival.prompt_tokens, found, arrival.output_tokens)
            self._router.learn(request.choice, answer)

    def _queue(self, request: Request) -> None:
        queue = self.queued.setdefault(request.replica_set, deque())
        if len(queue) >= MAX_QUEUED:
            self._end(request, Ending.OVERLOADED)
            return
        queue.append(request)
        ends_s = max(request.arrival.at_s + DEADLINE_S, self.agenda.now_s)
        self.agenda.at(ends_s, partial(self._too_late, request))

    def _too_late(self, request: Request) -> None:
        queue = self.queued.get(request.replica_set, ())
        if request in queue:
            self.queued[request.replica_set].remove(request)
            self._end(request, Ending.LATE)

    def _end(self, request: Request, ending: Ending, work: Work | None = None) -> None:
        came_s = request.arrival.at_s
        ended_s = self.agenda.now_s if work is None or work.ended_s is None else work.ended_s
        first_s = None if work is None else work.first_token_s
        self.records.append(
            Record(
                arrival=request.arrival,
                replica_set=request.replica_set,
                ending=ending,
                ended_s=ended_s - came_s,
                first_token_s=None if first_s is None else first_s - came_s,
                found_tokens=(work.found_tokens or 0) if work else 0,
            )
        )

    def _list(self) -> None:
        """A snapshot that names every replica that is ready."""
        reports = [each.report() for each in self._replicas.values() if each.phase is Phase.READY]
        self._table.apply(reports, self.agenda.now_s, self._forget)
        self._see_places()

    def _forget(self, slot: Slot) -> None:
        self._router.forget(slot.replica_id)
