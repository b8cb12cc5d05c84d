"""Sums of usage for people and for gateways, from the daily sums alone: quick for years."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from deployments.ledger.errors import ActRefused
from deployments.ledger.questions import USAGE_COLUMNS, SumUsage, UsageRow
from deployments.ledger.schema import USAGE_DAILY
from serving.snapshot import KeyRecord, KeyUsage, MonthUse, UsageReport

_DAILY = USAGE_DAILY.c
_COLUMNS = {"day": _DAILY.day, "tenant": _DAILY.tenant, "key": _DAILY.key_id, "model": _DAILY.model}
_TOKENS = ("prompt_tokens", "cached_tokens", "completion_tokens")


def usage(connection: Connection, question: SumUsage) -> tuple[UsageRow, ...]:
    """In the order of the columns it is summed by. Raises ActRefused."""
    unknown = [name for name in question.by if name not in _COLUMNS]
    if unknown:
        raise ActRefused(f"usage is summed by {', '.join(USAGE_COLUMNS)}, not by {unknown[0]}")
    columns = [_COLUMNS[name] for name in question.by]
    sums = [func.sum(_DAILY[name]).label(name) for name in ("requests", *_TOKENS, "accelerator_s")]
    wanted = select(*columns, *sums).where(_DAILY.day.between(question.first, question.last))
    for column, value in _filters(question):
        wanted = wanted.where(column == value)
    if columns:
        wanted = wanted.group_by(*columns).order_by(*columns)
    width = len(columns)
    return tuple(
        _row(tuple(row[:width]), row[width:])
        for row in connection.execute(wanted)
        if row[width] is not None
    )


def _row(by: tuple[str, ...], sums: Sequence[Any]) -> UsageRow:
    requests, prompt, cached, completion, accelerator_s = sums
    tokens = int(prompt), int(cached), int(completion)
    return UsageRow(by, int(requests), *tokens, float(accelerator_s))


def _filters(question: SumUsage) -> list[tuple[ColumnElement[str], str]]:
    given = (
        (_DAILY.tenant, question.tenant),
        (_DAILY.key_id, question.key_id),
        (_DAILY.model, question.model),
    )
    return [(column, value) for column, value in given if value is not None]


def month(connection: Connection, now_s: int) -> UsageReport:
    """What every key has used of every model in the calendar month of `now_s`, UTC."""
    name = f"{datetime.fromtimestamp(now_s, UTC):%Y-%m}"
    sums = [func.sum(_DAILY[column]).label(column) for column in ("requests", *_TOKENS)]
    key = (_DAILY.key_id, _DAILY.model)
    wanted = select(*key, *sums).where(_DAILY.day.between(f"{name}-01", f"{name}-31"))
    found = connection.execute(wanted.group_by(*key).order_by(*key))
    keys = tuple(KeyUsage(row[0], row[1], *(int(value) for value in row[2:])) for row in found)
    return UsageReport(name, now_s, keys)


def limited_use(report: UsageReport, keys: Iterable[KeyRecord]) -> tuple[MonthUse, ...]:
    """The month's tokens of the keys that have a limit for it."""
    tokens: dict[str, int] = defaultdict(int)
    for usage in report.keys:
        tokens[usage.key_id] += usage.prompt_tokens + usage.completion_tokens
    return tuple(
        MonthUse(key.id, tokens[key.id]) for key in keys if key.limits.tokens_per_month is not None
    )
