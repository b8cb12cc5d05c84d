"""A gateway's side of limits: the accounts of the holders that have any, and its shares. Pure:
keys, leases and the clock in, accounts and reports out.

Rules
1. A share never grows but by a lease. What a lease does not name is the base.
2. When a lease is over the gateway has no share, and lets nobody in who is limited.
3. A report says of every holder what may still be used here: whatever is not listed is under the
   base.
4. An account is made when it is first used and goes when nothing of it is left, so that who is idle
   costs nothing.
"""

from collections.abc import Callable, Iterable
from math import inf

from serving.limits.account import Account
from serving.limits.lease import (
    LEASE_S,
    NOTHING_ELSEWHERE,
    Lease,
    Share,
    ShareReport,
    Use,
)
from serving.limits.terms import NO_LIMITS, Limits, tenant_holder
from serving.snapshot import KeyRecord, MonthUse

#: In one report; of the others, whose use is smaller, the largest is told as the base.
MOST_HOLDERS = 4_096
_NO_USE = MonthUse("", 0)
_NO_LEASE = Lease(0.0)


class Gate:
    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._number = 0
        #: Of the holders that have any.
        self.limits: dict[str, Limits] = {}
        #: Of the keys that are limited: whose limits they are.
        self._holders: dict[str, tuple[str, ...]] = {}
        self._month: dict[str, MonthUse] = {}
        self._accounts: dict[str, Account] = {}
        self._base = 0.0
        self._shares: dict[str, Share] = {}
        self._until_s = -inf

    # What is in force
    def set_keys(self, records: Iterable[KeyRecord], month: Iterable[MonthUse]) -> None:
        """Takes over the limits of a snapshot; what was used stays used."""
        self.limits, self._holders = {}, {}
        for record in records:
            if record.limits != NO_LIMITS or record.tenant_limits != NO_LIMITS:
                self._note(record)
        self._month = {each.holder: each for each in month}
        for holder, account in list(self._accounts.items()):
            if holder in self.limits:
                account.limits = self.limits[holder]
                self._set_month(holder, account)
            else:
                del self._accounts[holder]

    def _note(self, record: KeyRecord) -> None:
        both = {record.id: record.limits, tenant_holder(record.tenant): record.tenant_limits}
        held = {holder: limits for holder, limits in both.items() if limits != NO_LIMITS}
        self.limits.update(held)
        self._holders[record.id] = tuple(held)

    def _set_month(self, holder: str, account: Account) -> None:
        used = self._month.get(holder, _NO_USE)
        account.month_tokens, account.month_nanos = used.tokens, used.nanos

    def take(self, lease: Lease, for_s: float = LEASE_S) -> None:
        """`for_s` is from now, less the time that the answer took."""
        self._base = lease.base
        self._shares = {share.holder: share for share in lease.shares}
        self._until_s = self._now_s() + for_s
        for holder, account in self._accounts.items():
            self._give(holder, account)

    def _give(self, holder: str, account: Account) -> None:
        share = self._shares.get(holder)
        account.share = self._base if share is None else share.share
        account.elsewhere = share or NOTHING_ELSEWHERE

    @property
    def has_lease(self) -> bool:
        return self._now_s() < self._until_s

    # What a request asks
    def accounts(self, key_id: str) -> tuple[Account, ...]:
        """All that a request with this key is in; none where nothing limits it."""
        holders = self._holders.get(key_id)
        return () if holders is None else tuple(map(self.account, holders))

    def account(self, holder: str) -> Account:
        """Of one that has limits."""
        found = self._accounts.get(holder)
        if found is None:
            limits, is_tenants = self.limits[holder], holder.startswith(tenant_holder(""))
            found = Account(limits, self._base, self._now_s, is_tenants=is_tenants)
            self._set_month(holder, found)
            self._give(holder, found)
            self._accounts[holder] = found
        return found

    # What the Controller hears
    def report(self, gateway_id: str, is_leaving: bool = False) -> ShareReport:
        """The next one; drops the accounts of which nothing is left."""
        if not self.has_lease:
            self.take(_NO_LEASE, 0.0)
        self._number += 1
        uses = sorted(self._uses(), key=lambda use: use.held, reverse=True)
        base = max([self._base, *(use.held for use in uses[MOST_HOLDERS:])])
        return ShareReport(gateway_id, self._number, base, tuple(uses[:MOST_HOLDERS]), is_leaving)

    def _uses(self) -> list[Use]:
        uses = [account.use(holder) for holder, account in self._accounts.items()]
        for use in uses:
            if not (use.wanted or use.refused or self._accounts[use.holder].in_flight):
                del self._accounts[use.holder]
        idle = self._shares.keys() - self._accounts.keys()
        return [use for use in uses if use.holder in self._accounts] + [
            Use(holder, self._shares[holder].share) for holder in idle
        ]
