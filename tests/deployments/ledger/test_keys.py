"""Keys and tenants: made, changed, ended, and every act of it in the audit."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, select

from deployments.ledger import acts, questions
from deployments.ledger.desk import answer, perform
from deployments.ledger.errors import ActRefused
from deployments.ledger.keys import records
from deployments.ledger.schema import AUDIT, KEYS
from serving.keys import parse, verify
from serving.limits.terms import NO_LIMITS, Limits, Priority
from serving.snapshot import KeyRecord

NOW_S = 1_000_000
Do = Callable[..., str]


@pytest.fixture
def do(connection: Connection) -> Do:
    dice = Random(3).randbytes  # noqa: S311

    def done(act: acts.Act, now_s: int = NOW_S) -> str:
        return perform(connection, act, "alice", dice, now_s)

    return done


def proves(connection: Connection, text: str, now_s: int = NOW_S) -> bool:
    known = {record.id: record for record in records(connection, now_s)}
    return verify(parse(text), known, now_s) is not None


def rows(connection: Connection, question: questions.Question) -> tuple[Any, ...]:
    found = answer(connection, question)
    assert isinstance(found, tuple)
    return found


def only(connection: Connection, now_s: int = NOW_S) -> KeyRecord:
    (record,) = records(connection, now_s)
    return record


def test_a_new_key_is_what_gateways_get(connection: Connection, do: Do) -> None:
    do(acts.CreateTenant("lab", weight=3, priority=Priority.INTERACTIVE))
    limits = Limits(requests_per_minute=60, tokens_per_month=1_000)
    text = do(acts.CreateKey("bob", "lab", 60, ("small", "big"), limits))
    record = only(connection)
    assert (record.name, record.tenant, record.weight) == ("bob", "lab", 3)
    assert (record.priority, record.limits) == (Priority.INTERACTIVE, limits)
    assert (record.expires_s, record.models) == (NOW_S + 60, frozenset({"small", "big"}))
    assert proves(connection, text)


def test_no_secret_is_anywhere_in_the_database(connection: Connection, do: Do) -> None:
    first = do(acts.CreateKey("bob"))
    second = do(acts.RotateKey(parse_id(first), 60))
    rows = [*connection.execute(select(KEYS)), *connection.execute(select(AUDIT))]
    held = repr([tuple(row) for row in rows])
    assert first[12:] not in held
    assert second[12:] not in held


def test_an_expired_key_proves_nothing_and_is_not_told(connection: Connection, do: Do) -> None:
    text = do(acts.CreateKey("bob", lifetime_s=60))
    assert proves(connection, text, NOW_S + 59)
    assert records(connection, NOW_S + 60) == ()
    stale = {only(connection).id: only(connection)}
    assert verify(parse(text), stale, NOW_S + 60.0) is None


def test_after_a_rotation_both_secrets_work_for_a_while_under_one_id(
    connection: Connection, do: Do
) -> None:
    old = do(acts.CreateKey("bob"))
    new = do(acts.RotateKey(parse_id(old), 100))
    assert parse_id(old) == parse_id(new)
    assert proves(connection, old, NOW_S + 99)
    assert not proves(connection, old, NOW_S + 100)
    assert proves(connection, new, NOW_S + 100)
    held = {only(connection).id: only(connection)}
    assert verify(parse(old), held, NOW_S + 100.0) is None


def test_of_two_rotations_the_last_old_secret_works(connection: Connection, do: Do) -> None:
    first = do(acts.CreateKey("bob"))
    second = do(acts.RotateKey(parse_id(first), 100))
    third = do(acts.RotateKey(parse_id(first), 100))
    assert [proves(connection, text) for text in (first, second, third)] == [False, True, True]
    fourth = do(acts.RotateKey(parse_id(first), 0))
    assert [proves(connection, text) for text in (third, fourth)] == [False, True]


def test_a_revoked_key_is_gone_for_good_and_still_listed(connection: Connection, do: Do) -> None:
    text = do(acts.CreateKey("bob"))
    do(acts.RevokeKey(parse_id(text)), NOW_S + 5)
    assert records(connection, NOW_S) == ()
    (row,) = rows(connection, questions.ListKeys())
    assert isinstance(row, questions.KeyRow)
    assert row.revoked_s == NOW_S + 5
    for act in (acts.RevokeKey(row.id), acts.RotateKey(row.id, 0)):
        with pytest.raises(ActRefused, match="was revoked already"):
            do(act)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (acts.RevokeKey("nobody"), "flotilla keys list"),
        (acts.RotateKey("nobody", 0), "flotilla keys list"),
        (acts.RotateKey("nobody", acts.MOST_OVERLAP_S + 1), "30 days"),
        (acts.CreateKey("bob", "lab"), "flotilla tenants create lab"),
        (acts.CreateKey("bob", lifetime_s=0), "at least a second"),
        (acts.CreateKey("bob", models=()), "1 to 100 models"),
        (acts.CreateKey("b\x00b"), "letters, digits"),
        (acts.CreateKey(""), "letters, digits"),
        (acts.CreateKey("b" * 65), "letters, digits"),
        (acts.CreateTenant("default"), "already"),
        (acts.CreateTenant("lab", weight=0), "1 to 1000"),
        (acts.ChangeTenant("lab", weight=2), "there is no tenant lab"),
        (acts.ChangeTenant("default", weight=1_001), "1 to 1000"),
        (acts.ChangeTenant("default", limits={"concurrent": 0}), "concurrent is 0"),
        (acts.ChangeKey("nobody", {"concurrent": 1}), "flotilla keys list"),
        (acts.ChangeKey("nobody", {"digest": 1}), "no limit called digest"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_no_trace(
    connection: Connection, do: Do, act: acts.Act, said: str
) -> None:
    with pytest.raises(ActRefused, match=said):
        do(act)
    assert answer(connection, questions.ListAudit(10)) == ()
    assert records(connection, NOW_S) == ()


def test_a_changed_tenant_changes_its_keys(connection: Connection, do: Do) -> None:
    do(acts.CreateKey("bob"))
    do(acts.ChangeTenant("default", weight=7))
    assert (only(connection).weight, only(connection).priority) == (7, Priority.STANDARD)
    do(acts.ChangeTenant("default", priority=Priority.BATCH))
    assert (only(connection).weight, only(connection).priority) == (7, Priority.BATCH)
    (row,) = rows(connection, questions.ListTenants())
    assert row == questions.TenantRow("default", 0, 7, Priority.BATCH, 1, NO_LIMITS)


def test_a_keys_limits_are_changed_and_lifted_one_by_one(connection: Connection, do: Do) -> None:
    limits = Limits(requests_per_minute=60, nanos_per_month=5)
    key_id = parse_id(do(acts.CreateKey("bob", limits=limits)))
    do(acts.ChangeKey(key_id, {"requests_per_minute": None, "concurrent": 2}))
    assert only(connection).limits == Limits(concurrent=2, nanos_per_month=5)
    (row,) = rows(connection, questions.ListKeys())
    assert isinstance(row, questions.KeyRow)
    assert row.limits == Limits(concurrent=2, nanos_per_month=5)
    detail = json.loads(rows(connection, questions.ListAudit(1))[0].detail)
    assert detail["limits"] == {"requests_per_minute": None, "concurrent": 2}
    do(acts.RevokeKey(key_id))
    with pytest.raises(ActRefused, match="was revoked already"):
        do(acts.ChangeKey(key_id, {"concurrent": 3}))


def test_a_tenants_limits_are_told_with_each_of_its_keys(connection: Connection, do: Do) -> None:
    do(acts.CreateTenant("lab", limits=Limits(tokens_per_minute=900)))
    do(acts.CreateKey("bob", "lab", limits=Limits(concurrent=1)))
    assert only(connection).limits == Limits(concurrent=1)
    assert only(connection).tenant_limits == Limits(tokens_per_minute=900)
    do(acts.ChangeTenant("lab", limits={"tokens_per_minute": None, "nanos_per_month": 7}))
    assert only(connection).tenant_limits == Limits(nanos_per_month=7)
    _, lab = rows(connection, questions.ListTenants())
    assert isinstance(lab, questions.TenantRow)
    assert lab.limits == Limits(nanos_per_month=7)


def test_every_act_is_in_the_audit_newest_first(connection: Connection, do: Do) -> None:
    do(acts.CreateTenant("lab"))
    key_id = parse_id(do(acts.CreateKey("bob", "lab"), NOW_S + 1))
    do(acts.RevokeKey(key_id), NOW_S + 2)
    found = rows(connection, questions.ListAudit(2))
    assert [(row.at_s, row.who, row.act, row.subject) for row in found] == [
        (NOW_S + 2, "alice", "RevokeKey", key_id),
        (NOW_S + 1, "alice", "CreateKey", "bob"),
    ]
    detail = json.loads(found[1].detail)
    assert (detail["tenant"], detail["key_id"]) == ("lab", key_id)


def test_usage_by_an_unknown_column_is_refused(connection: Connection) -> None:
    with pytest.raises(ActRefused, match="not by name"):
        answer(connection, questions.SumUsage("2026-01-01", "2026-01-02", ("name",)))


def parse_id(text: str) -> str:
    printed = parse(text)
    assert printed is not None
    return printed.id
