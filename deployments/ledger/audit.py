"""Who did what: one row per administrative act, written in the act's own transaction; of a deploy,
which is Serve's to do, when it is over.
"""

import json
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, and_, insert, select

from deployments.ledger.acts import Act, ChangeFleet
from deployments.ledger.questions import AuditRow
from deployments.ledger.schema import AUDIT


def note(connection: Connection, who: str, act: Act, now_s: int, key_id: str | None = None) -> None:
    """What was asked for, and the id of a key that came of it, never its secret."""
    connection.execute(insert(AUDIT).values(_row(who, act, now_s, {"key_id": key_id})))


def note_once(connection: Connection, who: str, act: ChangeFleet) -> None:
    """What was done elsewhere, however often it is told."""
    row = _row(who, act, act.began_s, {})
    same = and_(*(AUDIT.c[name] == value for name, value in row.items()))
    if connection.execute(select(AUDIT.c.number).where(same)).first() is None:
        connection.execute(insert(AUDIT).values(row))


def _row(who: str, act: Act | ChangeFleet, at_s: int, more: dict[str, Any]) -> dict[str, Any]:
    detail = {**asdict(act), **more}
    detail = {name: value for name, value in detail.items() if value is not None}
    row = {"at_s": at_s, "who": who, "act": type(act).__name__, "subject": act.subject}
    return {**row, "detail": json.dumps(detail)}


def rows(connection: Connection, most: int) -> tuple[AuditRow, ...]:
    """The newest, newest first."""
    newest = select(AUDIT).order_by(AUDIT.c.number.desc()).limit(most)
    return tuple(
        AuditRow(row.at_s, row.who, row.act, row.subject, row.detail)
        for row in connection.execute(newest)
    )
