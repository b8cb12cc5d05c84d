"""Usage and engines' counts in the ledger, each request once however often it is told.

Rules
1. A record is known by its request's id, a count by its replica and number; what is known changes
   nothing. So a batch may come again, in parts, in another order, from another gateway.
2. The daily sums change in the transaction that changes what they sum, by the difference.
3. A record and its counts may come in either order; `settle.py` says what they make together.
4. What a request has cost goes by the price in its record: no price that changes changes the past.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Row, Table, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from deployments.ledger.day import day_of
from deployments.ledger.lines import CountLine, Rejected, UsageLine, count_lines, usage_lines
from deployments.ledger.retention import oldest_day
from deployments.ledger.schema import ENGINE_COUNTS, REJECTED_LINES, USAGE, USAGE_DAILY
from deployments.ledger.settle import Cost, Counted, Source, settled
from serving.money import NO_PRICE, Price

#: Ids in one statement; SQLite allows 32,766 parameters.
_IDS = 500
_COUNTED = ("prompt_tokens", "cached_tokens", "completion_tokens", "accelerator_s")
_COSTS = (*_COUNTED, "cost_nanos")
_SUMS = ("requests", *_COSTS)
_GROUP = ("day", "tenant", "key_id", "model")

Item = TypeVar("Item")


def record_usage(connection: Connection, lines: bytes, now_s: int) -> int:
    """Takes a gateway's lines; answers how many of them were new."""
    read = usage_lines(lines)
    oldest = oldest_day(now_s)
    late = [line for line in read.records if day_of(line.started_s) < oldest]
    _keep_rejected(connection, (*read.rejected, *map(_late, late)), now_s)
    rows = [_usage_row(line) for line in read.records if line not in late]
    new = _insert_new(connection, USAGE, rows, "request_id")
    ids = {row.request_id for row in new}
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        first.setdefault(row["request_id"], row)
    changes = Changes()
    for request_id in ids:
        row = first[request_id]
        changes.add(tuple(row[name] for name in _GROUP), (1, *(row[cost] for cost in _COSTS)))
    _settle(connection, ids, changes)
    changes.apply(connection)
    return len(ids)


def record_counts(connection: Connection, lines: bytes, now_s: int) -> int:
    """Takes a replica's lines; answers how many of them were new."""
    read = count_lines(lines)
    _keep_rejected(connection, read.rejected, now_s)
    day = day_of(now_s)
    rows = [_count_row(line, day) for line in read.records]
    new = _insert_new(connection, ENGINE_COUNTS, rows, "request_id")
    changes = Changes()
    _settle(connection, {row.request_id for row in new}, changes)
    changes.apply(connection)
    return len(new)


def _late(line: UsageLine) -> Rejected:
    return Rejected(msgspec.json.encode(line), "is of a day whose requests are not kept any more")


def _usage_row(line: UsageLine) -> dict[str, Any]:
    price = line.price or NO_PRICE
    tokens = (line.prompt_tokens, line.cached_tokens, line.completion_tokens)
    return {
        "request_id": line.request_id,
        "day": day_of(line.started_s),
        "tenant": line.tenant,
        "key_id": line.key_id,
        "model": line.model_answered,
        "model_asked": line.model_asked,
        "replica_id": line.replica_id,
        "prompt_tokens": line.prompt_tokens,
        "cached_tokens": line.cached_tokens,
        "completion_tokens": line.completion_tokens,
        "accelerator_s": 0.0,
        "outcome": line.outcome.value,
        "source": (Source.ESTIMATE if line.is_estimated else Source.REPLY).value,
        "started_s": line.started_s,
        "duration_s": line.duration_s,
        "attempts": line.attempts,
        "input_nanos": price.input,
        "cached_input_nanos": price.cached_input,
        "output_nanos": price.output,
        "cost_nanos": price.cost_nanos(*tokens),
    }


def _count_row(line: CountLine, day: str) -> dict[str, Any]:
    return {
        "replica_id": line.replica_id,
        "number": line.number,
        "request_id": line.request_id,
        "day": day,
        "prompt_tokens": line.prompt_tokens,
        "cached_tokens": line.cached_tokens,
        "completion_tokens": line.completion_tokens,
        "accelerator_s": line.accelerator_s,
    }


def _insert_new(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]], returned: str
) -> Sequence[Row[Any]]:
    """Inserts what is not there yet, and answers that."""
    if not rows:
        return ()
    make = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
    statement = make(table).on_conflict_do_nothing().returning(table.c[returned])
    return connection.execute(statement, rows).all()


def _keep_rejected(connection: Connection, rejected: Sequence[Rejected], now_s: int) -> None:
    rows = [
        {
            "digest": hashlib.sha256(each.line).digest(),
            "received_s": now_s,
            "cause": each.cause.replace("\x00", ""),
            "line": each.line,
        }
        for each in rejected
    ]
    _insert_new(connection, REJECTED_LINES, rows, "digest")


# Records and counts together
def _settle(connection: Connection, request_ids: Iterable[str], changes: "Changes") -> None:
    for ids in _chunks(sorted(request_ids), _IDS):
        counts = _counts_of(connection, ids)
        if not counts:
            continue
        found = select(USAGE).where(USAGE.c.request_id.in_(list(counts)))
        updates = []
        for row in connection.execute(found.with_for_update()):
            before = Cost(
                row.prompt_tokens,
                row.cached_tokens,
                row.completion_tokens,
                row.accelerator_s,
                Source(row.source),
            )
            after = settled(before, row.replica_id, counts[row.request_id])
            if after != before:
                values = _cost_values(after, _price(row))
                new = {f"new_{name}": value for name, value in values.items()}
                updates.append({"id": row.request_id, "new_source": after.source.value, **new})
                group = tuple(getattr(row, name) for name in _GROUP)
                more = (value - getattr(row, name) for name, value in values.items())
                changes.add(group, (0, *more))
        if updates:
            connection.execute(_UPDATE_COST, updates)


def _price(row: Row[Any]) -> Price:
    return Price(row.input_nanos, row.cached_input_nanos, row.output_nanos)


def _cost_values(cost: Cost, price: Price) -> dict[str, Any]:
    """In the order of `_COSTS`."""
    tokens = (cost.prompt_tokens, cost.cached_tokens, cost.completion_tokens)
    values = (*tokens, cost.accelerator_s, price.cost_nanos(*tokens))
    return dict(zip(_COSTS, values, strict=True))


_UPDATE_COST = (
    update(USAGE)
    .where(USAGE.c.request_id == bindparam("id"))
    .values({name: bindparam(f"new_{name}") for name in (*_COSTS, "source")})
)


def _counts_of(connection: Connection, ids: Sequence[str]) -> dict[str, list[Counted]]:
    counts = ENGINE_COUNTS.c
    summed = (
        select(
            counts.request_id,
            counts.replica_id,
            *(func.sum(counts[name]).label(name) for name in _COUNTED),
        )
        .where(counts.request_id.in_(ids))
        .group_by(counts.request_id, counts.replica_id)
        .order_by(counts.request_id, counts.replica_id)
    )
    found: dict[str, list[Counted]] = defaultdict(list)
    for row in connection.execute(summed):
        found[row.request_id].append(
            Counted(
                row.replica_id,
                int(row.prompt_tokens),
                int(row.cached_tokens),
                int(row.completion_tokens),
                row.accelerator_s,
            )
        )
    return found


def _chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    left = iter(items)
    while chunk := list(islice(left, size)):
        yield chunk


# Daily sums
class Changes:
    """What one transaction adds to the daily sums."""

    def __init__(self) -> None:
        self._by_group: dict[tuple[str, ...], list[float]] = {}

    def add(self, group: tuple[str, ...], sums: Sequence[float]) -> None:
        known = self._by_group.setdefault(group, [0] * len(_SUMS))
        for index, value in enumerate(sums):
            known[index] += value

    def apply(self, connection: Connection) -> None:
        rows = [
            {**dict(zip(_GROUP, group, strict=True)), **dict(zip(_SUMS, sums, strict=True))}
            for group, sums in sorted(self._by_group.items())
        ]
        if not rows:
            return
        make = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
        added = make(USAGE_DAILY)
        more = {name: USAGE_DAILY.c[name] + added.excluded[name] for name in _SUMS}
        key = [USAGE_DAILY.c[name] for name in _GROUP]
        connection.execute(added.on_conflict_do_update(index_elements=key, set_=more), rows)
