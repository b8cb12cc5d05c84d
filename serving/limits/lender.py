"""The Controller's side of limits: lends each gateway its share of what every holder may use. Pure:
reports and the clock in, leases out.

Rules
1. What gateways may hold of one holder's limits never adds up to more than the whole. What may be
   held is what a gateway last said it holds, or what it was lent since, where that is more: an
   answer that was lost counts as one that was taken.
2. So a share moves in two steps: lent smaller to one, and to another only when the first has said
   that it holds less. Holding includes what was used in the last minute, so a share that moves
   cannot be used twice in one.
3. A gateway that falls silent keeps what it may hold until its lease and a minute are over. One
   that says that it leaves, for a minute.
4. A Controller that has just started takes over what the one before it has lent, as far as it was
   kept, and lends nothing before every gateway that can reach it has reported.

Most holders are idle, or far from their limits: they are divided evenly (`base`) and cost nothing
here.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

from serving.limits.division import divide
from serving.limits.lease import ANSWER_S, LEASE_S, Lease, Share, ShareReport, Use
from serving.limits.window import WINDOW_S

#: Two lost reports of every gateway.
SETTLE_S = 2 * ANSWER_S
#: A gateway silent for so long is lent nothing more.
SILENT_S = 10.0
SHORTEST_PERIOD_S = 0.5
LONGEST_PERIOD_S = 10.0
#: Looks at one gateway's use by one holder that may be made in a second, about a tenth of a core.
_LOOKS_PER_S = 200_000


#: No holder is called so: what is held of each that is not listed.
_ANY = ""


@dataclass(frozen=True, slots=True)
class Lent:
    """What one gateway may hold, for a Controller that starts after this one."""

    gateway_id: str
    #: Of its last report.
    number: int
    base: float
    shares: dict[str, float]
    #: Until nothing of it counts any more.
    left_s: float


@dataclass(slots=True)
class _Borrower:
    """What one gateway may hold and what it wants."""

    number: int = -1
    heard_s: float = 0.0
    #: When nothing of it counts any more.
    until_s: float = 0.0
    is_leaving: bool = False
    base: float = 0.0
    shares: dict[str, float] = field(default_factory=dict)
    uses: dict[str, Use] = field(default_factory=dict)

    def note(self, report: ShareReport, now_s: float) -> None:
        self.number, self.heard_s = report.number, now_s
        self.is_leaving = report.is_leaving
        self.until_s = now_s + WINDOW_S + (0.0 if report.is_leaving else LEASE_S)
        self.base = report.base
        self.shares = {use.holder: use.held for use in report.uses}
        self.uses = {use.holder: use for use in report.uses}

    def lend(self, lease: Lease) -> None:
        """From now on it may hold what it held and what it is lent, whichever is more."""
        lent = {share.holder: share.share for share in lease.shares}
        names = self.shares.keys() | lent.keys()
        self.shares = {name: max(self.may_hold(name), lent.get(name, lease.base)) for name in names}
        self.base = max(self.base, lease.base)

    def may_hold(self, holder: str) -> float:
        return self.shares.get(holder, self.base)

    def wants(self, holder: str) -> float:
        use = self.uses.get(holder)
        return 0.0 if use is None else use.wanted

    def is_live(self, now_s: float) -> bool:
        return not self.is_leaving and now_s - self.heard_s < SILENT_S


class Lender:
    """Mutable on purpose: one owner, the Controller, on one event loop."""

    def __init__(self, now_s: float, lent: Iterable[Lent] = ()) -> None:
        self._settled_at_s = now_s + SETTLE_S
        self._borrowers = {each.gateway_id: _taken_over(each, now_s) for each in lent}
        self._forget(now_s)

    def lend(self, report: ShareReport, now_s: float) -> Lease | None:
        """The shares from now on; None when the gateway keeps what it has."""
        borrower = self._borrowers.setdefault(report.gateway_id, _Borrower())
        if report.number <= borrower.number:
            return None
        borrower.note(report, now_s)
        self._forget(now_s)
        if report.is_leaving or now_s < self._settled_at_s:
            return None
        others = [each for each in self._borrowers.values() if each is not borrower]
        lease = _lease(borrower, _Others(others, now_s))
        borrower.lend(lease)
        return lease

    def refused(self, now_s: float) -> dict[str, int]:
        """Requests of the last minute that were not let in, by the holder whose limit it was."""
        live = [each for each in self._borrowers.values() if each.is_live(now_s)]
        counts: Counter[str] = Counter()
        for borrower in live:
            counts.update({name: use.refused for name, use in borrower.uses.items() if use.refused})
        return dict(counts)

    def lent(self, now_s: float) -> tuple[Lent, ...]:
        return tuple(
            Lent(name, each.number, each.base, each.shares, each.until_s - now_s)
            for name, each in self._borrowers.items()
        )

    def _forget(self, now_s: float) -> None:
        gone = [name for name, each in self._borrowers.items() if now_s >= each.until_s]
        for name in gone:
            del self._borrowers[name]


def _taken_over(lent: Lent, now_s: float) -> _Borrower:
    """Silent until it reports."""
    until_s = now_s + min(lent.left_s, WINDOW_S + LEASE_S)
    return _Borrower(lent.number, -inf, until_s, False, lent.base, dict(lent.shares))


class _Others:
    """The gateways beside the one that asks."""

    def __init__(self, others: list[_Borrower], now_s: float) -> None:
        self.all = others
        self.live = [each for each in others if each.is_live(now_s)]
        self._silent = [each for each in others if not each.is_live(now_s)]

    def part(self, holder: str, wanted: float) -> float:
        """What the one that asks may have now: its part, as far as nobody else may hold it."""
        silent = sum(each.may_hold(holder) for each in self._silent)
        held = sum(each.may_hold(holder) for each in self.live)
        wants = {place: each.wants(holder) for place, each in enumerate(self.live)}
        target = divide(max(0.0, 1.0 - silent), {-1: wanted, **wants})[-1]
        return max(0.0, min(target, 1.0 - silent - held))

    def is_wanted(self, holder: str) -> bool:
        return any(each.wants(holder) for each in self.live)

    def used(self, holder: str) -> tuple[int, int]:
        """Requests and tokens of the last minute."""
        uses = [each.uses[holder] for each in self.all if holder in each.uses]
        return sum(use.requests for use in uses), sum(use.tokens for use in uses)


def _lease(borrower: _Borrower, others: _Others) -> Lease:
    names = set(borrower.shares).union(*(each.shares for each in others.all))
    base = others.part(_ANY, 0.0)
    shares = (_share(name, base, borrower, others) for name in sorted(names))
    period_s = _period_s(len(others.live) + 1, len(names))
    return Lease(base, tuple(each for each in shares if each is not None), period_s)


def _share(holder: str, base: float, borrower: _Borrower, others: _Others) -> Share | None:
    """None where the base will do again: nobody wants any, and nobody has more of it."""
    wanted = borrower.wants(holder)
    share = others.part(holder, wanted)
    if share >= base and not wanted and not others.is_wanted(holder):
        return None
    return Share(holder, share, *others.used(holder))


def _period_s(gateways: int, holders: int) -> float:
    looks = gateways * gateways * holders
    return min(max(SHORTEST_PERIOD_S, looks / _LOOKS_PER_S), LONGEST_PERIOD_S)
