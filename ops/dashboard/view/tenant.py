"""Tenants and their keys: what they may use and what they have used this month. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deployments.ledger.questions import KeyRow
from ops.dashboard.facts import Books, Facts
from serving.limits.terms import Limits


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


@dataclass(frozen=True, slots=True)
class TenantView:
    name: str
    weight: int
    priority: str
    keys: tuple[KeyView, ...]

    @property
    def requests(self) -> int:
        return sum(key.requests for key in self.keys)

    @property
    def tokens(self) -> int:
        return sum(key.tokens for key in self.keys)


def tenants(facts: Facts) -> tuple[TenantView, ...]:
    """With their keys, those that hold first."""
    keys = sorted(_keys(facts), key=lambda key: (not key.is_valid, key.name, key.id))
    return tuple(
        TenantView(
            row.name,
            row.weight,
            row.priority.name.lower(),
            tuple(key for key in keys if key.tenant == row.name),
        )
        for row in facts.books.tenants
    )


def names_of(books: Books) -> dict[str, str]:
    """The names of keys by their ids."""
    return {row.id: row.name for row in books.keys}


def _keys(facts: Facts) -> Iterator[KeyView]:
    used = {row.by[0]: row for row in facts.books.usage}
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
        )


def _state(row: KeyRow, now_s: float) -> str:
    if row.revoked_s is not None:
        return "revoked"
    return "expired" if row.expires_s is not None and row.expires_s <= now_s else "valid"


def _limits(limits: Limits) -> Iterable[str]:
    for name, value in limits.given.items():
        yield f"{name.replace('_', ' ')} {value:,}"
