"""Keys in the ledger. What gateways get are those that hold; revoked ones stay as rows, since usage
and audit name them.
"""

import json
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, update

from deployments.ledger import limit_columns, tenants
from deployments.ledger.acts import ChangeKey, CreateKey, RevokeKey, RotateKey
from deployments.ledger.errors import ActRefused
from deployments.ledger.questions import KeyRow
from deployments.ledger.schema import KEYS, TENANTS
from serving import keys
from serving.keys import Dice
from serving.limits.terms import Priority
from serving.snapshot import KeyRecord


def create(connection: Connection, act: CreateKey, dice: Dice, now_s: int) -> str:
    """The key to show once. Raises ActRefused."""
    tenants.require(connection, act.tenant)
    text, record = keys.new_key(act.name, dice, now_s)
    row = {
        "id": record.id,
        "name": act.name,
        "tenant": act.tenant,
        "digest": record.digest,
        "created_s": now_s,
        "expires_s": None if act.lifetime_s is None else now_s + act.lifetime_s,
        "models": None if act.models is None else json.dumps(sorted(set(act.models))),
        **limit_columns.values(act.limits),
        "may_ignore_eos": act.may_ignore_eos,
    }
    connection.execute(insert(KEYS).values(row))
    return text


def change(connection: Connection, act: ChangeKey, now_s: int) -> None:
    """Raises ActRefused."""
    _standing(connection, act.key_id, now_s)
    if act.limits:
        changed = update(KEYS).where(KEYS.c.id == act.key_id).values(act.limits)
        connection.execute(changed)


def rotate(connection: Connection, act: RotateKey, dice: Dice, now_s: int) -> str:
    """The new key to show once. Raises ActRefused."""
    row = _standing(connection, act.key_id, now_s)
    text, digest = keys.new_secret(act.key_id, dice)
    old = {"old_digest": row.digest, "old_until_s": now_s + act.overlap_s}
    if not act.overlap_s:
        old = {"old_digest": None, "old_until_s": None}
    changed = update(KEYS).where(KEYS.c.id == act.key_id).values(digest=digest, **old)
    connection.execute(changed)
    return text


def revoke(connection: Connection, act: RevokeKey, now_s: int) -> None:
    """For good. Raises ActRefused."""
    _standing(connection, act.key_id, now_s)
    connection.execute(update(KEYS).where(KEYS.c.id == act.key_id).values(revoked_s=now_s))


def _standing(connection: Connection, key_id: str, now_s: int) -> Row[Any]:
    row = connection.execute(select(KEYS).where(KEYS.c.id == key_id)).first()
    if row is None:
        raise ActRefused(f"there is no key {key_id}: `flotilla keys list` shows the ids")
    if row.revoked_s is not None:
        raise ActRefused(f"the key {key_id} was revoked already")
    if row.expires_s is not None and row.expires_s <= now_s:
        raise ActRefused(f"the key {key_id} has expired")
    return row


def add(connection: Connection, record: KeyRecord) -> bool:
    """A key from elsewhere; false where its id is known."""
    if connection.execute(select(KEYS.c.id).where(KEYS.c.id == record.id)).first():
        return False
    row = {"id": record.id, "name": record.name, "tenant": record.tenant}
    values = {**row, "digest": record.digest, "created_s": record.created_s}
    connection.execute(insert(KEYS).values(values))
    return True


def records(connection: Connection, now_s: int) -> tuple[KeyRecord, ...]:
    """The keys that hold, for gateways."""
    of_tenant = (TENANTS.c.weight, TENANTS.c.priority, *limit_columns.of_tenant(TENANTS))
    held = select(KEYS, *of_tenant).join(TENANTS)
    held = held.where(
        KEYS.c.revoked_s.is_(None), or_(KEYS.c.expires_s.is_(None), KEYS.c.expires_s > now_s)
    )
    return tuple(_record(row, now_s) for row in connection.execute(held.order_by(KEYS.c.id)))


def _record(row: Row[Any], now_s: int) -> KeyRecord:
    has_old = row.old_until_s is not None and row.old_until_s > now_s
    return KeyRecord(
        id=row.id,
        name=row.name,
        digest=row.digest,
        created_s=row.created_s,
        limits=limit_columns.limits_of(row),
        tenant=row.tenant,
        weight=row.weight,
        tenant_limits=limit_columns.tenant_limits_of(row),
        priority=Priority(row.priority),
        expires_s=row.expires_s,
        models=None if row.models is None else frozenset(json.loads(row.models)),
        old_digest=row.old_digest if has_old else None,
        old_until_s=row.old_until_s if has_old else 0,
        may_ignore_eos=row.may_ignore_eos,
    )


def rows(connection: Connection) -> tuple[KeyRow, ...]:
    """All that ever were, oldest first."""
    found = connection.execute(select(KEYS).order_by(KEYS.c.created_s, KEYS.c.id))
    return tuple(
        KeyRow(
            id=row.id,
            name=row.name,
            tenant=row.tenant,
            created_s=row.created_s,
            expires_s=row.expires_s,
            revoked_s=row.revoked_s,
            old_until_s=row.old_until_s,
            models=None if row.models is None else tuple(json.loads(row.models)),
            limits=limit_columns.limits_of(row),
        )
        for row in found
    )
