"""The Controller's side of limits: lends each gateway its share of every key. Pure: reports and the
clock in, leases out.

Rules
1. What gateways may hold of a key never adds up to more than the whole. What may be held is what a
   gateway last said it holds, or what it was lent since, where that is more: an answer that was
   lost counts as one that was taken.
2. So a share moves in two steps: lent smaller to one, and to another only when the first has said
   that it holds less. Holding includes what was used in the last minute, so a share that moves
   cannot be used twice in one.
3. A gateway that falls silent keeps what it may hold until its lease and a minute are over. One
   that says that it leaves, for a minute.
4. A Controller that has just started lends nothing before every gateway that can reach it has
   reported.

Most keys are idle, or far from their limit: they are divided evenly (`base`) and cost nothing here.
"""

from dataclasses import dataclass, field

from serving.limits.division import divide
from serving.limits.lease import ANSWER_S, LEASE_S, KeyShare, KeyUse, Lease, ShareReport
from serving.limits.window import WINDOW_S

#: Two lost reports of every gateway.
SETTLE_S = 2 * ANSWER_S
#: A gateway silent for so long is lent nothing more.
SILENT_S = 10.0
SHORTEST_PERIOD_S = 0.5
LONGEST_PERIOD_S = 10.0
#: Looks at one gateway's use of one key that may be made in a second, about a tenth of a core.
_LOOKS_PER_S = 200_000


#: No key is called so: what is held of every key that is not listed.
_ANY = ""


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
    uses: dict[str, KeyUse] = field(default_factory=dict)

    def note(self, report: ShareReport, now_s: float) -> None:
        self.number, self.heard_s = report.number, now_s
        self.is_leaving = report.is_leaving
        self.until_s = now_s + WINDOW_S + (0.0 if report.is_leaving else LEASE_S)
        self.base = report.base
        self.shares = {use.key_id: use.held for use in report.uses}
        self.uses = {use.key_id: use for use in report.uses}

    def lend(self, lease: Lease) -> None:
        """From now on it may hold what it held and what it is lent, whichever is more."""
        lent = {share.key_id: share.share for share in lease.shares}
        keys = self.shares.keys() | lent.keys()
        self.shares = {key: max(self.may_hold(key), lent.get(key, lease.base)) for key in keys}
        self.base = max(self.base, lease.base)

    def may_hold(self, key_id: str) -> float:
        return self.shares.get(key_id, self.base)

    def wants(self, key_id: str) -> float:
        use = self.uses.get(key_id)
        return 0.0 if use is None else use.wanted

    def is_live(self, now_s: float) -> bool:
        return not self.is_leaving and now_s - self.heard_s < SILENT_S


class Lender:
    """Mutable on purpose: one owner, the Controller, on one event loop."""

    def __init__(self, now_s: float) -> None:
        self._settled_at_s = now_s + SETTLE_S
        self._borrowers: dict[str, _Borrower] = {}

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

    def _forget(self, now_s: float) -> None:
        gone = [name for name, each in self._borrowers.items() if now_s >= each.until_s]
        for name in gone:
            del self._borrowers[name]


class _Others:
    """The gateways beside the one that asks."""

    def __init__(self, others: list[_Borrower], now_s: float) -> None:
        self.all = others
        self.live = [each for each in others if each.is_live(now_s)]
        self._silent = [each for each in others if not each.is_live(now_s)]

    def part(self, key_id: str, wanted: float) -> float:
        """What the one that asks may have now: its part, as far as nobody else may hold it."""
        silent = sum(each.may_hold(key_id) for each in self._silent)
        held = sum(each.may_hold(key_id) for each in self.live)
        wants = {place: each.wants(key_id) for place, each in enumerate(self.live)}
        target = divide(max(0.0, 1.0 - silent), {-1: wanted, **wants})[-1]
        return max(0.0, min(target, 1.0 - silent - held))

    def is_wanted(self, key_id: str) -> bool:
        return any(each.wants(key_id) for each in self.live)

    def used(self, key_id: str) -> tuple[int, int]:
        """Requests and tokens of the last minute."""
        uses = [each.uses[key_id] for each in self.all if key_id in each.uses]
        return sum(use.requests for use in uses), sum(use.tokens for use in uses)


def _lease(borrower: _Borrower, others: _Others) -> Lease:
    keys = set(borrower.shares).union(*(each.shares for each in others.all))
    base = others.part(_ANY, 0.0)
    shares = (_share(key, base, borrower, others) for key in sorted(keys))
    period_s = _period_s(len(others.live) + 1, len(keys))
    return Lease(base, tuple(each for each in shares if each is not None), period_s)


def _share(key_id: str, base: float, borrower: _Borrower, others: _Others) -> KeyShare | None:
    """None where the base will do again: nobody wants the key, and nobody has more of it."""
    wanted = borrower.wants(key_id)
    share = others.part(key_id, wanted)
    if share >= base and not wanted and not others.is_wanted(key_id):
        return None
    return KeyShare(key_id, share, *others.used(key_id))


def _period_s(gateways: int, keys: int) -> float:
    looks = gateways * gateways * keys
    return min(max(SHORTEST_PERIOD_S, looks / _LOOKS_PER_S), LONGEST_PERIOD_S)
