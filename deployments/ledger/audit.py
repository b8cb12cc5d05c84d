"""Who did what: one row per administrative act, written in the act's own transaction; of a deploy,
which is Serve's to do, when it is over.
"""

import json
from dataclasses import asdict

from sqlalchemy import Connection, insert, select

from deployments.ledger.acts import Act
from deployments.ledger.questions import AuditRow
from deployments.ledger.schema import AUDIT


def note(connection: Connection, who: str, act: Act, at_s: int, key_id: str | None = None) -> None:
    """What was asked for, and the id of a key that came of it, never its secret."""
    detail = {**asdict(act), "key_id": key_id}
    detail = {name: value for name, value in detail.items() if value is not None}
    row = {"at_s": at_s, "who": who, "act": type(act).__name__, "subject": act.subject}
    connection.execute(insert(AUDIT).values(**row, detail=json.dumps(detail)))


def rows(connection: Connection, most: int) -> tuple[AuditRow, ...]:
    """The newest, newest first."""
    newest = select(AUDIT).order_by(AUDIT.c.number.desc()).limit(most)
    return tuple(
        AuditRow(row.at_s, row.who, row.act, row.subject, row.detail)
        for row in connection.execute(newest)
    )
