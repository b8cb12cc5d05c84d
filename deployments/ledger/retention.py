"""How long single requests are kept. Their daily sums stay for ever, so no usage is forgotten.

A record that comes when its day is gone already could not be told from one that was counted: it is
kept apart, and counted nowhere.
"""

from sqlalchemy import Connection, delete, select, tuple_

from deployments.ledger.day import day_of
from deployments.ledger.schema import ENGINE_COUNTS, USAGE

KEEP_DAYS = 92
DAY_S = 86_400
#: Deleted in one transaction, which others wait for.
CHUNK = 5_000


def oldest_day(now_s: float) -> str:
    """The first day whose requests are kept."""
    return day_of(now_s - KEEP_DAYS * DAY_S)


def forget(connection: Connection, now_s: int) -> int:
    """Some of what is older; answers how many rows."""
    oldest = oldest_day(now_s)
    ids = select(USAGE.c.request_id).where(USAGE.c.day < oldest).limit(CHUNK)
    usage = connection.execute(delete(USAGE).where(USAGE.c.request_id.in_(ids)))
    key = (ENGINE_COUNTS.c.replica_id, ENGINE_COUNTS.c.number)
    numbers = select(*key).where(ENGINE_COUNTS.c.day < oldest).limit(CHUNK)
    counts = connection.execute(delete(ENGINE_COUNTS).where(tuple_(*key).in_(numbers)))
    return usage.rowcount + counts.rowcount
