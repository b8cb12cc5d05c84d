"""The columns of limits, which keys and tenants both have, as values and back."""

from typing import Any

from sqlalchemy import BigInteger, Column, Row, Table

from serving.limits.terms import LIMIT_NAMES, Limits

_OF_TENANT = "tenant_"


def limit_columns() -> list[Column[Any]]:
    """NULL is no limit."""
    return [Column(name, BigInteger) for name in LIMIT_NAMES]


def of_tenant(tenants: Table) -> list[Any]:
    """A tenant's, for a query that has those of its keys too."""
    return [tenants.c[name].label(_OF_TENANT + name) for name in LIMIT_NAMES]


def values(limits: Limits) -> dict[str, int | None]:
    return {name: getattr(limits, name) for name in LIMIT_NAMES}


def limits_of(row: Row[Any]) -> Limits:
    return Limits(**{name: getattr(row, name) for name in LIMIT_NAMES})


def tenant_limits_of(row: Row[Any]) -> Limits:
    """Of a row of a query with `of_tenant`."""
    return Limits(**{name: getattr(row, _OF_TENANT + name) for name in LIMIT_NAMES})
