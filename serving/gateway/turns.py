"""Requests that wait for a place at a saturated model, and how they get one: the edge of
serving/fairness, which decides whose turn it is.

Not to be taken for queue.py, where requests wait for the first replica of a model without any.
"""

import asyncio
from collections.abc import Callable
from math import inf

from serving.fairness.claim import Claim, Places
from serving.fairness.fair_queue import FairQueue, Full, Ticket
from serving.gateway.sse import Tokens

#: A turn that has not come by then will not come soon.
MOST_WAIT_S = 30.0
#: Nobody says when the prompt of a whole answer is computed; slower than this few engines are.
PROMPT_TOKENS_PER_S = 4_000.0
PROMPT_LEAST_S = 0.5

Turn = asyncio.Future[None]


class Stay:
    """A request that had its turn, until it has ended."""

    __slots__ = ("_began_by_s", "_claim", "_has_begun", "_line", "has_waited")

    def __init__(
        self, line: "Line", claim: Claim, now_s: float, *, has_waited: bool = False
    ) -> None:
        self._line = line
        self._claim = claim
        #: What was known of replicas before is old.
        self.has_waited = has_waited
        self._has_begun = False
        self._began_by_s = now_s + PROMPT_LEAST_S + claim.prompt_tokens / PROMPT_TOKENS_PER_S

    def began(self) -> None:
        """The first token is here."""
        if not self._has_begun:
            self._has_begun = True
            self._line.queue.began(self._claim)
            self._line.serve()

    def sweep(self, now_s: float) -> None:
        """For an answer that shows no first token."""
        if now_s > self._began_by_s:
            self.began()

    def ended(self, tokens: Tokens) -> None:
        """By the engine's count, where there is one."""
        if not self._has_begun:
            self._line.queue.began(self._claim)
        computed = tokens.prompt_tokens - (tokens.cached_tokens or 0)
        worked = computed + (tokens.completion_tokens or 0)
        self._line.queue.ended(self._claim, worked if tokens.prompt_tokens else self._claim.tokens)
        self._line.serve()


class Line:
    """Of one replica set."""

    def __init__(self, places: Callable[[], Places], now_s: Callable[[], float]) -> None:
        self.queue: FairQueue[Turn] = FairQueue()
        self._places = places
        self._now_s = now_s

    def has_room(self, tenant: str, body_bytes: int) -> bool:
        """Whether a request of this tenant would find a place, or one in the queue."""
        queue = self.queue
        return not queue.waiting or queue.has_room(tenant, body_bytes, self._places())

    def at_once(self, claim: Claim) -> Stay | None:
        """A place that is free now. Whoever gets one says when it has `ended`."""
        now_s = self._now_s()
        if self.queue.goes_at_once(claim, self._places(), now_s):
            return Stay(self, claim, now_s)
        return None

    async def wait(self, claim: Claim) -> Stay | None:
        """A place when its turn comes; None when that is too long."""
        turn: Turn = asyncio.get_running_loop().create_future()
        try:
            ticket = self.queue.add(claim, turn, self._places(), self._now_s())
        except Full:
            return None
        self.serve()
        if turn.done():
            return Stay(self, claim, self._now_s())
        try:
            async with asyncio.timeout(MOST_WAIT_S):
                await turn
        except TimeoutError:
            self._give_up(ticket)
            return None
        except asyncio.CancelledError:
            self._give_up(ticket)
            raise
        return Stay(self, claim, self._now_s(), has_waited=True)

    def serve(self) -> None:
        """Gives out the places there are."""
        while self.queue.waiting:
            ticket = self.queue.next(self._places())
            if ticket is None:
                return
            if ticket.item.cancelled():  # its client has left, and is told of it next
                self._give_back(ticket.claim)
            else:
                ticket.item.set_result(None)

    def _give_up(self, ticket: Ticket[Turn]) -> None:
        """The turn may have come in the same moment: then its place goes to the next."""
        if ticket.is_waiting:
            self.queue.remove(ticket)
        elif not ticket.item.cancelled():
            self._give_back(ticket.claim)
        self.serve()

    def _give_back(self, claim: Claim) -> None:
        self.queue.began(claim)
        self.queue.ended(claim, 0.0)


class Lines:
    """Of all models whose engines say how many requests they run; the others have no bound."""

    def __init__(self, places: Callable[[str], Places], now_s: Callable[[], float]) -> None:
        self._compute = places
        self._now_s = now_s
        #: As of the newest news of replicas.
        self._places: dict[str, Places] = {}
        self._lines: dict[str, Line] = {}

    def of(self, replica_set: str) -> Line | None:
        if self.places(replica_set).requests == inf:
            return None
        line = self._lines.get(replica_set)
        if line is None:
            line = Line(lambda: self.places(replica_set), self._now_s)
            self._lines[replica_set] = line
        return line

    def places(self, replica_set: str) -> Places:
        found = self._places.get(replica_set)
        if found is None:
            found = self._places[replica_set] = self._compute(replica_set)
        return found

    def changed(self) -> None:
        """Replicas have come or gone, or run more or less."""
        self._places.clear()
        for line in self._lines.values():
            line.serve()
