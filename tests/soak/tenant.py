"""Who asks in a soak: tenants with limits of every kind, and how often each comes. Pure."""

import random
from dataclasses import dataclass

from serving.limits.terms import NO_LIMITS, Limits, Priority


@dataclass(frozen=True, slots=True)
class Tenant:
    name: str
    #: Of all that come.
    share: float
    limits: Limits = NO_LIMITS
    weight: int = 1
    priority: Priority = Priority.STANDARD
    #: Comes with so many requests at a time.
    burst: int = 1


#: Those with a limit ask for more than it.
TENANTS = (
    Tenant("plain", 0.3),
    Tenant("urgent", 0.2, weight=4, priority=Priority.INTERACTIVE),
    Tenant("patient", 0.1, priority=Priority.BATCH),
    Tenant("bursting", 0.2, burst=24),
    Tenant("few-requests", 0.08, Limits(requests_per_minute=40)),
    Tenant("few-tokens", 0.06, Limits(tokens_per_minute=600)),
    Tenant("few-at-once", 0.06, Limits(concurrent=1), burst=3),
)


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant with its key, as the ledger made it."""

    tenant: Tenant
    key: str
    key_id: str


def arrivals_per_s(tenant: Tenant, requests_per_s: float) -> float:
    """Of its bursts."""
    return requests_per_s * tenant.share / tenant.burst


def pause_s(tenant: Tenant, requests_per_s: float, dice: random.Random) -> float:
    return dice.expovariate(arrivals_per_s(tenant, requests_per_s))
