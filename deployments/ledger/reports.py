"""Sums of usage for people and for gateways, from the daily sums alone: quick for years."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from deployments.ledger.errors import ActRefused
from deployments.ledger.questions import USAGE_COLUMNS, SumUsage, UsageRow
from deployments.ledger.schema import USAGE_DAILY
from serving.limits.terms import tenant_holder
from serving.snapshot import KeyRecord, KeyUsage, MonthUse, UsageReport

_DAILY = USAGE_DAILY.c
_COLUMNS = {"day": _DAILY.day, "tenant": _DAILY.tenant, "key": _DAILY.key_id, "model": _DAILY.model}
_TOKENS = ("prompt_tokens", "cached_tokens", "completion_tokens")
_SUMS = ("requests", *_TOKENS, "accelerator_s", "cost_nanos")


def usage(connection: Connection, question: SumUsage) -> tuple[UsageRow, ...]:
    """In the order of the columns it is summed by. Raises ActRefused."""
    unknown = [name for name in question.by if name not in _COLUMNS]
    if unknown:
        raise ActRefused(f"usage is summed by {', '.join(USAGE_COLUMNS)}, not by {unknown[0]}")
    columns = [_COLUMNS[name] for name in question.by]
    sums = [func.sum(_DAILY[name]).label(name) for name in _SUMS]
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
    requests, prompt, cached, completion, accelerator_s, cost = sums
    tokens = int(prompt), int(cached), int(completion)
    return UsageRow(by, int(requests), *tokens, float(accelerator_s), int(cost))


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
    sums = [func.sum(_DAILY[each]).label(each) for each in ("requests", *_TOKENS, "cost_nanos")]
    key = (_DAILY.key_id, _DAILY.model, _DAILY.tenant)
    wanted = select(*key, *sums).where(_DAILY.day.between(f"{name}-01", f"{name}-31"))
    found = connection.execute(wanted.group_by(*key).order_by(*key))
    return UsageReport(name, now_s, tuple(_key_usage(row) for row in found))


def _key_usage(row: Row[Any]) -> KeyUsage:
    values: Sequence[Any] = row
    key_id, model, tenant, *sums = values
    requests, prompt, cached, completion, nanos = map(int, sums)
    return KeyUsage(key_id, model, requests, prompt, cached, completion, tenant, nanos)


def limited_use(report: UsageReport, keys: Iterable[KeyRecord]) -> tuple[MonthUse, ...]:
    """The month of the holders that have a limit for it; a tenant's is that of all keys it ever
    had.
    """
    tokens, nanos = Counter[str](), Counter[str]()
    for usage in report.keys:
        for holder in (usage.key_id, tenant_holder(usage.tenant)):
            tokens[holder] += usage.prompt_tokens + usage.completion_tokens
            nanos[holder] += usage.nanos
    return tuple(MonthUse(each, tokens[each], nanos[each]) for each in _limited(keys))


def _limited(keys: Iterable[KeyRecord]) -> list[str]:
    found: dict[str, None] = {}
    for key in keys:
        if key.limits.is_of_month:
            found[key.id] = None
        if key.tenant_limits.is_of_month:
            found[tenant_holder(key.tenant)] = None
    return list(found)
