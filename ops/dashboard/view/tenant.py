"""Tenants and their keys: what they may use and what they have used this month. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deployments.ledger.questions import KeyRow
from ops.dashboard.facts import Books, Facts
from serving import money
from serving.limits.terms import Limits, tenant_holder


@dataclass(frozen=True, slots=True)
class KeyView:
    id: str
    name: str
    tenant: str
    state: str
    is_valid: bool
    #: Those that are set, as `requests per minute 60`.
    limits: tuple[str, ...]
    #: Empty is all.
    models: tuple[str, ...]
    requests: int
    tokens: int
    #: This month, in nanos of the currency of the prices.
    cost_nanos: int
    #: Requests of the last minute that its own limits refused.
    refused: int


@dataclass(frozen=True, slots=True)
class TenantView:
    name: str
    weight: int
    priority: str
    #: Of all its keys together.
    limits: tuple[str, ...]
    keys: tuple[KeyView, ...]
    #: By its own limits, not by those of its keys.
    refused: int

    @property
    def requests(self) -> int:
        return sum(key.requests for key in self.keys)

    @property
    def tokens(self) -> int:
        return sum(key.tokens for key in self.keys)

    @property
    def cost_nanos(self) -> int:
        return sum(key.cost_nanos for key in self.keys)


def tenants(facts: Facts) -> tuple[TenantView, ...]:
    """With their keys, those that hold first."""
    keys = sorted(_keys(facts), key=lambda key: (not key.is_valid, key.name, key.id))
    refused = facts.controller.get("refused", {})
    return tuple(
        TenantView(
            row.name,
            row.weight,
            row.priority.name.lower(),
            tuple(_limits(row.limits)),
            tuple(key for key in keys if key.tenant == row.name),
            refused.get(tenant_holder(row.name), 0),
        )
        for row in facts.books.tenants
    )


def names_of(books: Books) -> dict[str, str]:
    """The names of keys by their ids."""
    return {row.id: row.name for row in books.keys}


def _keys(facts: Facts) -> Iterator[KeyView]:
    used = {row.by[0]: row for row in facts.books.usage}
    refused = facts.controller.get("refused", {})
    for row in facts.books.keys:
        state = _state(row, facts.at_s)
        usage = used.get(row.id)
        yield KeyView(
            id=row.id,
            name=row.name,
            tenant=row.tenant,
            state=state,
            is_valid=state == "valid",
            limits=tuple(_limits(row.limits)),
            models=row.models or (),
            requests=usage.requests if usage else 0,
            tokens=usage.prompt_tokens + usage.completion_tokens if usage else 0,
            cost_nanos=usage.cost_nanos if usage else 0,
            refused=refused.get(row.id, 0),
        )


def _state(row: KeyRow, now_s: float) -> str:
    if row.revoked_s is not None:
        return "revoked"
    return "expired" if row.expires_s is not None and row.expires_s <= now_s else "valid"


def _limits(limits: Limits) -> Iterable[str]:
    for name, value in limits.given.items():
        if name == "nanos_per_month":
            yield f"budget per month {money.shown(value)}"
        else:
            yield f"{name.replace('_', ' ')} {value:,}"
