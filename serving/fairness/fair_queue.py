"""Who waits for one saturated model at one gateway, and whose turn is next. Pure: the clock is a
parameter; whoever calls says how many places there are.

Rules
1. A flow is a tenant's requests of one priority class. Turns go by tokens: each flow has a tag, the
   flow with the smallest goes next, and its tag grows by the tokens of its request over its weight.
   So while two flows wait, what they get differs by no more than their weights say and one largest
   request of each. A flow that comes back starts where the others are: time away earns nothing.
2. What a request will cost is guessed at its turn and put right when it has ended.
3. A class has a weight, no absolute right: a lower one gets less, never nothing.
4. As long as a tenant is there that does not wait, the last part of the places is for tenants that
   have less than an even part of what runs, or less than half of what the busiest has: whoever
   fills a model finds it full a little earlier, so that everybody else finds a place free. What a
   tenant has is counted in tokens, as turns are: a few long prompts are more than many short ones.
5. Only whoever is kept out by rule 4, and so has its part, may be passed. Nobody passes a flow
   whose turn it is while its prompt waits for room.
6. The queue is bounded, and a tenant may have as many waiting as places in it are free: one alone
   fills half, two a third each, and there is always a place for one more tenant. Whoever has waited
   for the first replica was counted there, and is let in.
7. A request leaves once: its turn comes (`next`), or it is taken out (`remove`).
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from serving.fairness.claim import Claim, Places
from serving.limits.terms import Priority

Item = TypeVar("Item")

#: Of what runs, as many may wait, and by rule 6 half as many of one tenant: for about half the time
#: of an answer.
WAITING_SHARE = 1.0
#: And always so many, so that several tenants can.
LEAST_WAITING = 8
MOST_BYTES = 64 * 1024 * 1024
#: Of the places, for whoever has less than its share. A sixteenth of them is ahead of what an
#: engine runs, so three are free in it: as many as the numbers of those vary by who have a third of
#: what it runs and come at random.
RESERVED = 0.25
#: The same of prompts that are not computed: of these a few long ones are soon in the way.
RESERVED_PROMPT = 0.75
#: A tenant counts as there for so long after its last request.
PRESENT_S = 60.0


@dataclass(slots=True)
class _Tenant:
    seen_s: float = 0.0
    #: Requests between their turn and their end.
    running: int = 0
    #: Of those, as far as anybody can tell before they have ended.
    tokens: float = 0.0
    waiting: int = 0
    bytes: int = 0
    #: By class; what each has had, in tokens over weight.
    tags: dict[Priority, float] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Ticket(Generic[Item]):
    """A place in the queue."""

    claim: Claim
    item: Item
    is_waiting: bool = True


class Full(Exception):
    """No more of this tenant may wait."""


Flow = tuple[str, Priority]


class FairQueue(Generic[Item]):
    def __init__(self) -> None:
        self._tenants: dict[str, _Tenant] = {}
        self._flows: dict[Flow, deque[Ticket[Item]]] = {}
        #: Tenants that wait.
        self._waiting_tenants = 0
        #: The largest tag at which a request has started.
        self._tag = 0.0
        self._pruned_s = 0.0
        #: Requests between their turn and their end.
        self.running = 0
        self.tokens = 0.0
        self.waiting = 0
        self.waiting_bytes = 0
        #: Of requests whose first token has not come.
        self.prompt_tokens = 0.0

    # Coming and going
    def goes_at_once(self, claim: Claim, places: Places, now_s: float) -> bool:
        """Whether nobody waits and there is a place; then it is taken."""
        tenant = self._seen(claim, now_s)
        if self.waiting or not self._fits(claim, self._open_to(tenant, places)):
            return False
        self._start(claim, tenant, max(self._tag, tenant.tags.get(claim.priority, 0.0)))
        return True

    def has_room(self, tenant_name: str, body_bytes: int, places: Places) -> bool:
        """Whether one more of this tenant may wait."""
        tenant = self._tenants.get(tenant_name) or _Tenant()
        most = max(LEAST_WAITING, WAITING_SHARE * places.requests // 1)
        free_bytes = MOST_BYTES - self.waiting_bytes
        return tenant.waiting < most - self.waiting and tenant.bytes + body_bytes <= free_bytes

    def add(self, claim: Claim, item: Item, places: Places, now_s: float) -> Ticket[Item]:
        """Raises Full."""
        if not (claim.has_waited or self.has_room(claim.tenant, claim.body_bytes, places)):
            raise Full
        tenant, ticket = self._seen(claim, now_s), Ticket(claim, item)
        self._count(ticket, 1)
        flow = self._flows.setdefault((claim.tenant, claim.priority), deque())
        if not flow:
            tenant.tags[claim.priority] = max(self._tag, tenant.tags.get(claim.priority, 0.0))
        flow.append(ticket)
        return ticket

    def next(self, places: Places) -> Ticket[Item] | None:
        """Whose turn it is, if there is a place; it runs from now on."""
        for flow in sorted(self._flows, key=self._tag_of):
            open_ = self._open_to(self._tenants[flow[0]], places)
            if self._fits(self._flows[flow][0].claim, open_):
                return self._turn(flow)
            if open_ is places:
                return None
        return None

    def _turn(self, flow: Flow) -> Ticket[Item]:
        ticket = self._flows[flow].popleft()
        self._left(ticket, flow)
        self._start(ticket.claim, self._tenants[flow[0]], self._tag_of(flow))
        return ticket

    def remove(self, ticket: Ticket[Item]) -> None:
        """Out of the queue without a turn; nothing when it has had one."""
        if ticket.is_waiting:
            flow = (ticket.claim.tenant, ticket.claim.priority)
            self._flows[flow].remove(ticket)
            self._left(ticket, flow)

    # What becomes of one that had its turn
    def began(self, claim: Claim) -> None:
        """Its prompt is computed; to be called once."""
        self.prompt_tokens -= claim.prompt_tokens

    def ended(self, claim: Claim, tokens: float) -> None:
        """It has cost so many tokens; `began` comes before."""
        tenant = self._tenants[claim.tenant]
        tenant.running -= 1
        tenant.tokens -= claim.tokens
        self.running -= 1
        self.tokens -= claim.tokens
        if not self.running:
            self.prompt_tokens = self.tokens = 0.0  # what rounding has left goes
        tenant.tags[claim.priority] += (tokens - claim.tokens) / claim.flow_weight

    # How
    def _start(self, claim: Claim, tenant: _Tenant, tag: float) -> None:
        tenant.running += 1
        tenant.tokens += claim.tokens
        self.running += 1
        self.tokens += claim.tokens
        self.prompt_tokens += claim.prompt_tokens
        self._tag = max(self._tag, tag)
        tenant.tags[claim.priority] = tag + claim.tokens / claim.flow_weight

    def _fits(self, claim: Claim, places: Places) -> bool:
        """One request always does, however large it is; and one prompt where none is computed."""
        if not self.running:
            return True
        prompts = self.prompt_tokens + claim.prompt_tokens
        return self.running + 1 <= places.requests and (
            self.prompt_tokens <= 0 or prompts <= places.prompt_tokens
        )

    def _open_to(self, tenant: _Tenant, places: Places) -> Places:
        """Those of the places that this tenant may take."""
        others = len(self._tenants) - self._waiting_tenants - (tenant.waiting == 0)
        if not others or tenant.tokens < self.tokens / len(self._tenants):
            return places
        busiest = max(each.tokens for each in self._tenants.values())
        if tenant.tokens < busiest / 2:
            return places
        requests = places.requests * (1 - RESERVED)
        return Places(requests, places.prompt_tokens * (1 - RESERVED_PROMPT))

    def _tag_of(self, flow: Flow) -> float:
        return self._tenants[flow[0]].tags[flow[1]]

    def _left(self, ticket: Ticket[Item], flow: Flow) -> None:
        ticket.is_waiting = False
        self._count(ticket, -1)
        if not self._flows[flow]:
            del self._flows[flow]

    def _count(self, ticket: Ticket[Item], sign: int) -> None:
        tenant, size = self._tenants[ticket.claim.tenant], ticket.claim.body_bytes
        self._waiting_tenants -= tenant.waiting > 0
        tenant.waiting += sign
        tenant.bytes += sign * size
        self._waiting_tenants += tenant.waiting > 0
        self.waiting += sign
        self.waiting_bytes += sign * size

    def _seen(self, claim: Claim, now_s: float) -> _Tenant:
        if now_s - self._pruned_s > PRESENT_S:
            self._prune(now_s)
        tenant = self._tenants.get(claim.tenant)
        if tenant is None:
            tenant = self._tenants[claim.tenant] = _Tenant()
        tenant.seen_s = now_s
        return tenant

    def _prune(self, now_s: float) -> None:
        """Forgets who has been away; whoever comes back starts where the others are."""
        self._pruned_s = now_s
        self._tenants = {
            name: each
            for name, each in self._tenants.items()
            if each.running or each.waiting or now_s - each.seen_s <= PRESENT_S
        }
