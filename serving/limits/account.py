"""One holder of limits at one gateway: what it has used here, and what it may use now.

Rules
- A request is let in while less than the share is used. So the last one may go over it, by itself:
  what it goes over by is owed (see window.py). A share of under one request still lets one in.
- Tokens are reserved before anything is known (`Hold`), and settled on what the engine counted. A
  reservation that a stream outgrows grows with it; nothing that runs is stopped by a limit.
- What is used is judged by the share alone. What the user is told counts the other gateways in.
- A request that was refused counts for nothing here, and as wanted, so that a share can come.
- A request of a key whose tenant is limited too is in two accounts: both must let it in, and
  nothing is reserved in either before.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, inf

from serving.limits.lease import NOTHING_ELSEWHERE, Use
from serving.limits.terms import Limits
from serving.limits.window import Window

#: For a limit of which somebody else may have a share to spare: shares move within seconds.
SHARE_COMES_S = 2.0
#: What was refused is wanted for so long: until a share could come and the client come back.
WANTED_S = 5
#: Until a request that runs may have ended; nobody can know.
SLOT_COMES_S = 1.0


class Limit(StrEnum):
    """Which limit; its words in a refusal."""

    REQUESTS = "requests per minute"
    TOKENS = "tokens per minute"
    CONCURRENT = "concurrent requests"
    MONTH = "tokens per month"
    BUDGET = "money per month"


@dataclass(frozen=True, slots=True)
class Exceeded:
    """Why a request is not let in."""

    limit: Limit
    most: int
    retry_after_s: float
    #: Of all its keys together.
    is_tenants: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """One limit of a minute as its user sees it."""

    most: int
    remaining: int
    #: Until a request is let in where nothing remains, otherwise until all of it is there again.
    reset_s: float


class Account:
    __slots__ = (
        "_now_s",
        "_refused",
        "elsewhere",
        "in_flight",
        "is_tenants",
        "limits",
        "month_nanos",
        "month_tokens",
        "refusals",
        "requests",
        "share",
        "tokens",
    )

    def __init__(
        self,
        limits: Limits,
        share: float,
        now_s: Callable[[], float],
        *,
        is_tenants: bool = False,
    ) -> None:
        self._now_s = now_s
        self.is_tenants = is_tenants
        self.limits = limits
        self.share = share
        #: What other gateways used, as last heard.
        self.elsewhere = NOTHING_ELSEWHERE
        #: Used this month everywhere, as last heard.
        self.month_tokens = 0
        self.month_nanos = 0
        self.in_flight = 0
        self.requests = Window()
        self.tokens = Window()
        #: Requests that were not let in.
        self.refusals = Window()
        #: Shares of a limit that were asked for in vain.
        self._refused = Window()

    # Letting in
    def exceeded(self) -> Exceeded | None:
        """The limit that the next request would break, noted as wanted; None lets it in."""
        found = self._exceeded()
        if found is not None:
            self.refusals.charge(self._now_s(), 1)
        return found

    def _exceeded(self) -> Exceeded | None:
        limits, now_s = self.limits, self._now_s()
        requests = self._part(limits.requests_per_minute)
        tokens = self._part(limits.tokens_per_minute)
        self.requests.roll(now_s, requests)
        self.tokens.roll(now_s, tokens)
        if limits.is_of_month and (spent := self._spent()) is not None:
            return spent
        if limits.concurrent is not None and self.in_flight >= self.share * limits.concurrent:
            return self._refuse(Limit.CONCURRENT, limits.concurrent, SLOT_COMES_S)
        if self.requests.total >= requests and (standing := self.requests_standing()):
            return self._refuse(Limit.REQUESTS, standing.most, standing.reset_s)
        if self.tokens.total >= tokens and (standing := self.tokens_standing()):
            return self._refuse(Limit.TOKENS, standing.most, standing.reset_s, self._usual())
        return None

    def _usual(self) -> float:
        """Tokens that a request is taken to want: nobody has read the one that is refused."""
        return max(1.0, self.tokens.total / max(1, self.requests.total))

    def _spent(self) -> Exceeded | None:
        """The limit of the month that is used up; no share of it helps."""
        tokens, nanos = self.limits.tokens_per_month, self.limits.nanos_per_month
        if tokens is not None and self.month_tokens >= tokens:
            return Exceeded(Limit.MONTH, tokens, 0.0, self.is_tenants)
        if nanos is not None and self.month_nanos >= nanos:
            return Exceeded(Limit.BUDGET, nanos, 0.0, self.is_tenants)
        return None

    def _refuse(
        self, limit: Limit, most: int, retry_after_s: float, amount: float = 1.0
    ) -> Exceeded:
        self._refused.charge(self._now_s(), amount / most)
        return Exceeded(limit, most, retry_after_s, self.is_tenants)

    def enter(self, tokens: int) -> int:
        """Counts a request that is let in, and reserves its tokens; returns the second of it."""
        self.in_flight += 1
        self.requests.charge(self._now_s(), 1, self._part(self.limits.requests_per_minute))
        return self.charge_tokens(tokens)

    def leave(self) -> None:
        """The request has ended."""
        self.in_flight -= 1

    def charge_tokens(self, tokens: int) -> int:
        return self.tokens.charge(self._now_s(), tokens, self._part(self.limits.tokens_per_minute))

    def _part(self, most: int | None) -> float:
        return inf if most is None else self.share * most

    # Telling
    def requests_standing(self) -> Standing | None:
        most = self.limits.requests_per_minute
        return self._standing(self.requests, most, self.elsewhere.requests_elsewhere)

    def tokens_standing(self) -> Standing | None:
        most = self.limits.tokens_per_minute
        return self._standing(self.tokens, most, self.elsewhere.tokens_elsewhere)

    def _standing(self, window: Window, most: int | None, elsewhere: int) -> Standing | None:
        if most is None:
            return None
        now_s, part = self._now_s(), self.share * most
        window.roll(now_s, part)
        left = max(0, most - elsewhere - ceil(window.total))
        if window.total < part:
            return Standing(most, max(1, left), window.empty_in_s(now_s))
        reset_s = window.room_in_s(now_s, part)
        return Standing(most, 0, min(reset_s, SHARE_COMES_S) if left else reset_s)

    def use(self, holder: str) -> Use:
        """For the Controller, which divides the limits anew."""
        now_s = self._now_s()
        self.requests.roll(now_s, self._part(self.limits.requests_per_minute))
        self.tokens.roll(now_s, self._part(self.limits.tokens_per_minute))
        self._refused.roll(now_s)
        self.refusals.roll(now_s)
        used, asked = self._parts(False), self._parts(True)
        return Use(
            holder,
            held=max(self.share, *used),
            wanted=min(1.0, max(asked) + self._refused.recent(WANTED_S)),
            requests=ceil(self.requests.total),
            tokens=ceil(self.tokens.total),
            refused=ceil(self.refusals.total),
        )

    def _parts(self, with_owed: bool) -> tuple[float, float, float]:
        """Of each limit, the part that is used."""
        limits = self.limits
        requests, tokens = self.requests, self.tokens
        return (
            _part_of(requests.total if with_owed else requests.used, limits.requests_per_minute),
            _part_of(tokens.total if with_owed else tokens.used, limits.tokens_per_minute),
            _part_of(self.in_flight, limits.concurrent),
        )


class Hold:
    """What one request has reserved, in all accounts that it is in, until it is settled."""

    __slots__ = ("_accounts", "_is_settled", "_seconds", "prompt_tokens", "tokens")

    def __init__(
        self, accounts: tuple[Account, ...], prompt_tokens: int, answer_tokens: int
    ) -> None:
        self._accounts = accounts
        self._is_settled = False
        self.prompt_tokens = prompt_tokens
        #: Charged so far.
        self.tokens = prompt_tokens + answer_tokens
        self._seconds = [account.enter(self.tokens) for account in accounts]

    def grow(self, answer_tokens: int) -> None:
        """So much of the answer is made: what is beyond the reservation is charged now."""
        beyond = self.prompt_tokens + answer_tokens - self.tokens
        if beyond > 0 and not self._is_settled:
            self.tokens += beyond
            for account in self._accounts:
                account.charge_tokens(beyond)

    def settle(self, tokens: int) -> None:
        """The request has ended and has cost so much; only the first word counts."""
        if self._is_settled:
            return
        self._is_settled = True
        for account, second in zip(self._accounts, self._seconds, strict=True):
            account.leave()
            if tokens > self.tokens:
                account.charge_tokens(tokens - self.tokens)
            else:
                account.tokens.refund(second, self.tokens - tokens)


def first_exceeded(accounts: Iterable[Account]) -> Exceeded | None:
    """Why a request that is in all of these is not let in."""
    return next((found for each in accounts if (found := each.exceeded()) is not None), None)


def _part_of(amount: float, most: int | None) -> float:
    return 0.0 if most is None else amount / most
