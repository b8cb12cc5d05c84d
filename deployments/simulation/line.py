"""Requests that wait for a place at a saturated model, in the gateways' own queue. Pure.

What serving/gateway/turns.py does with futures is done with an agenda here; whose turn it is and
who may wait at all is decided by the same serving/fairness.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from deployments.simulation.agenda import Agenda
from deployments.simulation.request import Request
from serving.fairness.claim import Claim, Places
from serving.fairness.fair_queue import FairQueue, Full, Ticket
from serving.gateway.turns import MOST_WAIT_S

Heard = Callable[[Request], None]


@dataclass(slots=True, eq=False)
class Line:
    """Of one replica set."""

    agenda: Agenda
    places: Callable[[], Places]
    #: Hears of each whose turn has come.
    go: Heard
    #: And of each whose turn did not come in time.
    give_up: Heard
    #: Of those that wait.
    waiting_tokens: int = 0
    _queue: FairQueue[Request] = field(default_factory=FairQueue)

    @property
    def waiting(self) -> int:
        return self._queue.waiting

    def at_once(self, request: Request, claim: Claim) -> bool:
        """Whether there is a place now; then it is taken."""
        goes = self._queue.goes_at_once(claim, self.places(), self.agenda.now_s)
        if goes:
            request.starts(claim)
        return goes

    def wait(self, request: Request, claim: Claim) -> bool:
        """Whether it may wait for its turn."""
        try:
            ticket = self._queue.add(claim, request, self.places(), self.agenda.now_s)
        except Full:
            return False
        self.waiting_tokens += request.arrival.prompt_tokens
        self.agenda.at(self.agenda.now_s + MOST_WAIT_S, partial(self._too_late, ticket))
        self.serve()
        return True

    def began(self, request: Request) -> None:
        """Its first token is there."""
        if request.claim is not None and not request.has_begun:
            request.has_begun = True
            self._queue.began(request.claim)
            self.serve()

    def ended(self, request: Request, tokens: int) -> None:
        """Its place is free, and it has cost so many tokens."""
        if request.claim is not None:
            self.began(request)
            claim, request.claim = request.claim, None
            self._queue.ended(claim, tokens)
            self.serve()

    def serve(self) -> None:
        """Gives out the places there are."""
        while self._queue.waiting:
            ticket = self._queue.next(self.places())
            if ticket is None:
                return
            request = ticket.item
            self.waiting_tokens -= request.arrival.prompt_tokens
            request.starts(ticket.claim)
            self.go(request)

    def _too_late(self, ticket: Ticket[Request]) -> None:
        if ticket.is_waiting:
            self._queue.remove(ticket)
            self.waiting_tokens -= ticket.item.arrival.prompt_tokens
            self.give_up(ticket.item)
