"""Tenants in the ledger: who keys belong to, and how they stand against each other."""

from sqlalchemy import Connection, func, insert, select, update

from deployments.ledger import limit_columns
from deployments.ledger.acts import DEFAULT_TENANT, ChangeTenant, CreateTenant
from deployments.ledger.errors import ActRefused
from deployments.ledger.questions import TenantRow
from deployments.ledger.schema import KEYS, TENANTS
from serving.limits.terms import Priority


def create(connection: Connection, act: CreateTenant, now_s: int) -> None:
    """Raises ActRefused."""
    if exists(connection, act.name):
        raise ActRefused(f"there is a tenant called {act.name} already")
    row = {"name": act.name, "weight": act.weight, "priority": int(act.priority)}
    values = {**row, **limit_columns.values(act.limits), "created_s": now_s}
    connection.execute(insert(TENANTS).values(values))


def change(connection: Connection, act: ChangeTenant) -> None:
    """Raises ActRefused."""
    require(connection, act.name)
    changes: dict[str, int | None] = dict(act.limits)
    if act.weight is not None:
        changes["weight"] = act.weight
    if act.priority is not None:
        changes["priority"] = int(act.priority)
    if changes:
        connection.execute(update(TENANTS).where(TENANTS.c.name == act.name).values(**changes))


def ensure_default(connection: Connection, now_s: int) -> None:
    """Keys for which nobody named a tenant have this one."""
    if not exists(connection, DEFAULT_TENANT):
        create(connection, CreateTenant(DEFAULT_TENANT), now_s)


def exists(connection: Connection, name: str) -> bool:
    found = connection.execute(select(TENANTS.c.name).where(TENANTS.c.name == name))
    return found.first() is not None


def require(connection: Connection, name: str) -> None:
    """Raises ActRefused."""
    if not exists(connection, name):
        raise ActRefused(f"there is no tenant {name}: `flotilla tenants create {name}` makes it")


def rows(connection: Connection) -> tuple[TenantRow, ...]:
    """With the number of keys that were not revoked."""
    keys = (
        select(func.count())
        .where(KEYS.c.tenant == TENANTS.c.name, KEYS.c.revoked_s.is_(None))
        .scalar_subquery()
    )
    found = connection.execute(select(TENANTS, keys.label("keys")).order_by(TENANTS.c.name))
    return tuple(
        TenantRow(
            row.name,
            row.created_s,
            row.weight,
            Priority(row.priority),
            row.keys,
            limit_columns.limits_of(row),
        )
        for row in found
    )
