"""A gateway's side of limits: the accounts of the keys that have any, and its shares. Pure: keys,
leases and the clock in, accounts and reports out.

Rules
1. A share never grows but by a lease. What a lease does not name is the base.
2. When a lease is over the gateway has no share, and lets nobody in who is limited.
3. A report says of every key what may still be used here: whatever is not listed is under the base.
4. An account is made when its key is first used and goes when nothing of it is left, so that a key
   that is idle costs nothing.
"""

from collections.abc import Callable, Iterable
from math import inf

from serving.limits.account import Account
from serving.limits.lease import (
    LEASE_S,
    NOTHING_ELSEWHERE,
    KeyShare,
    KeyUse,
    Lease,
    ShareReport,
)
from serving.limits.terms import NO_LIMITS, Limits
from serving.snapshot import KeyRecord, MonthUse

#: Keys in one report; of the others, whose use is smaller, the largest is told as the base.
MOST_KEYS = 4_096
_NO_LEASE = Lease(0.0)


class Gate:
    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._number = 0
        #: Of the keys that have any.
        self.limits: dict[str, Limits] = {}
        self._month: dict[str, int] = {}
        self._accounts: dict[str, Account] = {}
        self._base = 0.0
        self._shares: dict[str, KeyShare] = {}
        self._until_s = -inf

    # What is in force
    def set_keys(self, records: Iterable[KeyRecord], month: Iterable[MonthUse]) -> None:
        """Takes over the limits of a snapshot; what was used stays used."""
        self.limits = {each.id: each.limits for each in records if each.limits != NO_LIMITS}
        self._month = {each.key_id: each.tokens for each in month}
        for key_id, account in list(self._accounts.items()):
            if key_id in self.limits:
                account.limits = self.limits[key_id]
                account.month_tokens = self._month.get(key_id, 0)
            else:
                del self._accounts[key_id]

    def take(self, lease: Lease, for_s: float = LEASE_S) -> None:
        """`for_s` is from now, less the time that the answer took."""
        self._base = lease.base
        self._shares = {share.key_id: share for share in lease.shares}
        self._until_s = self._now_s() + for_s
        for key_id, account in self._accounts.items():
            self._give(key_id, account)

    def _give(self, key_id: str, account: Account) -> None:
        share = self._shares.get(key_id)
        account.share = self._base if share is None else share.share
        account.elsewhere = share or NOTHING_ELSEWHERE

    @property
    def has_lease(self) -> bool:
        return self._now_s() < self._until_s

    # What a request asks
    def account(self, key_id: str) -> Account | None:
        """None for a key without limits."""
        found = self._accounts.get(key_id)
        if found is None and key_id in self.limits:
            found = Account(self.limits[key_id], self._base, self._now_s)
            found.month_tokens = self._month.get(key_id, 0)
            self._give(key_id, found)
            self._accounts[key_id] = found
        return found

    # What the Controller hears
    def report(self, gateway_id: str, is_leaving: bool = False) -> ShareReport:
        """The next one; drops the accounts of which nothing is left."""
        if not self.has_lease:
            self.take(_NO_LEASE, 0.0)
        self._number += 1
        uses = sorted(self._uses(), key=lambda use: use.held, reverse=True)
        base = max([self._base, *(use.held for use in uses[MOST_KEYS:])])
        return ShareReport(gateway_id, self._number, base, tuple(uses[:MOST_KEYS]), is_leaving)

    def _uses(self) -> list[KeyUse]:
        uses = [account.use(key_id) for key_id, account in self._accounts.items()]
        for use in uses:
            if not use.wanted and not self._accounts[use.key_id].in_flight:
                del self._accounts[use.key_id]
        idle = self._shares.keys() - self._accounts.keys()
        return [use for use in uses if use.key_id in self._accounts] + [
            KeyUse(key_id, self._shares[key_id].share) for key_id in idle
        ]
