"""What an operator may ask of the ledger, and the rows of the answers: values that travel between
the command and the Controller.
"""

from dataclasses import dataclass
from typing import Any

from serving.limits.terms import Limits, Priority


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as an operator sees it."""

    id: str
    name: str
    tenant: str
    created_s: int
    expires_s: int | None
    revoked_s: int | None
    old_until_s: int | None
    models: tuple[str, ...] | None
    limits: Limits


@dataclass(frozen=True, slots=True)
class TenantRow:
    name: str
    created_s: int
    weight: int
    priority: Priority
    keys: int
    limits: Limits


@dataclass(frozen=True, slots=True)
class AuditRow:
    at_s: int
    who: str
    act: str
    subject: str
    #: JSON object.
    detail: str


@dataclass(frozen=True, slots=True)
class ListKeys:
    """All keys, revoked ones too."""


@dataclass(frozen=True, slots=True)
class ListTenants:
    """All tenants."""


@dataclass(frozen=True, slots=True)
class ListAudit:
    """The newest acts, newest first."""

    most: int


#: What usage can be summed by.
USAGE_COLUMNS = ("day", "tenant", "key", "model")


@dataclass(frozen=True, slots=True)
class SumUsage:
    """Usage of the days from `first` to `last`, both in it, summed by some of USAGE_COLUMNS."""

    first: str
    last: str
    by: tuple[str, ...]
    tenant: str | None = None
    key_id: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Holds the ledger's records of these days against what engines counted."""

    first: str
    last: str


Question = ListKeys | ListTenants | ListAudit | SumUsage | Reconcile


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One line of a sum; the values of the columns it is summed by, in their order."""

    by: tuple[str, ...]
    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    accelerator_s: float
    cost_nanos: int


@dataclass(frozen=True, slots=True)
class Reply:
    """The Controller's to an act or a question."""

    value: Any = None
    #: Why there is none, for the operator.
    refusal: str | None = None
