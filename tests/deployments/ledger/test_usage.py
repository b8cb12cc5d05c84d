"""Usage is counted once, however often, in whatever order and in what pieces it is told."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, select

from deployments.ledger.day import day_of
from deployments.ledger.lines import usage_lines
from deployments.ledger.questions import Reconcile, SumUsage
from deployments.ledger.reconcile import reconcile
from deployments.ledger.reports import limited_use, month
from deployments.ledger.reports import usage as sum_usage
from deployments.ledger.retention import KEEP_DAYS, forget
from deployments.ledger.schema import ENGINE_COUNTS, REJECTED_LINES, USAGE, USAGE_DAILY
from deployments.ledger.usage import record_counts, record_usage
from serving.limits.terms import Limits
from serving.money import MOST_COST_NANOS, MOST_PRICE_NANOS, Price
from serving.snapshot import KeyRecord, KeyUsage, MonthUse
from tests.deployments.ledger.records import NOON_S, count, cut, lines, usage

PRICE = Price(input=100, cached_input=10, output=1_000)
TODAY = Reconcile("2026-11-27", "2026-11-27")


def row_of(connection: Connection, request_id: str = "a") -> Any:
    return connection.execute(select(USAGE).where(USAGE.c.request_id == request_id)).one()


def daily(connection: Connection) -> list[tuple[Any, ...]]:
    sums = USAGE_DAILY.c
    shown = (sums.day, sums.key_id, sums.model, sums.requests, sums.prompt_tokens)
    wanted = select(*shown, sums.completion_tokens).order_by(sums.day, sums.key_id, sums.model)
    return [tuple(row) for row in connection.execute(wanted)]


def test_a_batch_that_comes_again_changes_nothing(connection: Connection) -> None:
    batch = lines(usage("a"), usage("b", key_id="key2"))
    assert record_usage(connection, batch, NOON_S) == 2
    before = daily(connection)
    assert record_usage(connection, batch, NOON_S) == 0
    assert record_usage(connection, lines(usage("b", key_id="key2"), usage("c")), NOON_S) == 1
    assert before == [
        ("2026-11-27", "key1", "small", 1, 10, 5),
        ("2026-11-27", "key2", "small", 1, 10, 5),
    ]
    assert daily(connection)[0] == ("2026-11-27", "key1", "small", 2, 20, 10)


def test_the_first_word_on_a_request_stands(connection: Connection) -> None:
    record_usage(connection, lines(usage("a"), usage("a", completion_tokens=99)), NOON_S)
    record_usage(connection, lines(usage("a", completion_tokens=100)), NOON_S)
    assert row_of(connection).completion_tokens == 5
    assert daily(connection) == [("2026-11-27", "key1", "small", 1, 10, 5)]


def test_the_engines_count_replaces_an_estimate(connection: Connection) -> None:
    record_usage(connection, lines(cut(completion_tokens=3)), NOON_S)
    assert row_of(connection).source == "estimate"
    assert record_counts(connection, lines(count(completion_tokens=7)), NOON_S) == 1
    row = row_of(connection)
    assert (row.prompt_tokens, row.cached_tokens, row.completion_tokens) == (10, 2, 7)
    assert (row.source, row.accelerator_s) == ("count", 0.25)
    assert daily(connection) == [("2026-11-27", "key1", "small", 1, 10, 7)]


def test_a_count_that_came_before_its_record_is_found(connection: Connection) -> None:
    record_counts(connection, lines(count(completion_tokens=7)), NOON_S)
    record_usage(connection, lines(cut(completion_tokens=3)), NOON_S)
    assert row_of(connection).completion_tokens == 7
    assert daily(connection) == [("2026-11-27", "key1", "small", 1, 10, 7)]


def test_what_a_replica_says_that_did_not_answer_costs_time_and_no_tokens(
    connection: Connection,
) -> None:
    record_usage(connection, lines(usage()), NOON_S)
    other = count(replica_id="small.1#2", completion_tokens=4)
    record_counts(connection, lines(other, count(completion_tokens=5)), NOON_S)
    row = row_of(connection)
    assert (row.completion_tokens, row.accelerator_s, row.source) == (5, 0.5, "reply")
    found = reconcile(connection, TODAY)
    assert found.agrees
    assert (found.ledger_tokens, found.engine_tokens, found.abandoned_tokens) == (5, 9, 4)


def test_where_the_replica_died_the_gateways_count_stands_and_is_named(
    connection: Connection,
) -> None:
    record_usage(connection, lines(cut("a", completion_tokens=3), usage("b")), NOON_S)
    record_counts(connection, lines(count("b", completion_tokens=5)), NOON_S)
    found = reconcile(connection, TODAY)
    assert found.agrees
    assert (found.records, found.agreeing, found.estimated) == (2, 1, 1)
    assert (found.ledger_tokens, found.estimated_tokens, found.engine_tokens) == (8, 3, 5)


def test_a_difference_and_a_lost_record_are_named(connection: Connection) -> None:
    record_usage(connection, lines(usage("a")), NOON_S)
    record_counts(connection, lines(count("a", completion_tokens=6), count("lost", 1)), NOON_S)
    found = reconcile(connection, TODAY)
    assert not found.agrees
    assert (found.differing, found.unrecorded) == (("a",), ("lost",))


def test_a_line_that_is_no_record_is_kept_apart_and_keeps_no_other_out(
    connection: Connection,
) -> None:
    bad = [
        b"not json",
        b"\x00\x00\x00",
        b'{"request_id": "x"}',
        lines(usage("nul", model_asked="a\x00b")).strip(),
        lines(usage("huge", prompt_tokens=2**60)).strip(),
        lines(usage("negative", completion_tokens=-1)).strip(),
        lines(usage("far", started_s=1e15)).strip(),
    ]
    batch = b"\n".join([lines(usage("a")).strip(), *bad, lines(usage("b")).strip(), b""])
    assert record_usage(connection, batch, NOON_S) == 2
    assert record_usage(connection, batch, NOON_S) == 0
    kept = connection.scalars(select(REJECTED_LINES.c.line)).all()
    assert sorted(bytes(line) for line in kept) == sorted(bad)
    assert not reconcile(connection, TODAY).agrees


def test_a_record_of_a_gateway_of_before_tenants_is_taken() -> None:
    old = json.loads(lines(usage("a")))
    del old["tenant"], old["is_estimated"]
    (record,) = usage_lines(json.dumps(old).encode()).records
    assert (record.tenant, record.is_estimated) == ("", False)


def test_usage_is_summed_by_what_was_asked(connection: Connection) -> None:
    yesterday_s = NOON_S - 86_400.0
    record_usage(
        connection,
        lines(
            usage("a", started_s=yesterday_s),
            usage("b", model_answered="big"),
            usage("c", key_id="key2", tenant="lab"),
        ),
        NOON_S,
    )
    by_day = sum_usage(connection, SumUsage("2026-11-01", "2026-11-30", ("day",)))
    assert [(row.by, row.requests) for row in by_day] == [
        (("2026-11-26",), 1),
        (("2026-11-27",), 2),
    ]
    of_lab = sum_usage(connection, SumUsage("2026-11-01", "2026-11-30", ("key",), tenant="lab"))
    assert [(row.by, row.prompt_tokens) for row in of_lab] == [(("key2",), 10)]
    total = sum_usage(connection, SumUsage("2026-11-27", "2026-11-27", ()))
    assert [(row.by, row.requests) for row in total] == [((), 2)]
    assert sum_usage(connection, SumUsage("2025-01-01", "2025-01-02", ())) == ()


def test_the_month_is_told_by_key_and_model(connection: Connection) -> None:
    last_month_s = NOON_S - 40 * 86_400.0
    record_usage(
        connection,
        lines(usage("a"), usage("b", model_answered="big"), usage("c", started_s=last_month_s)),
        NOON_S,
    )
    report = month(connection, NOON_S)
    assert report.month == "2026-11"
    assert report.keys == (
        KeyUsage("key1", "big", 1, 10, 2, 5, "default"),
        KeyUsage("key1", "small", 1, 10, 2, 5, "default"),
    )
    limited = KeyRecord("key1", "k", b"", 0, Limits(tokens_per_month=100))
    free = KeyRecord("key2", "k", b"", 0)
    assert limited_use(report, (limited, free)) == (MonthUse("key1", 30),)


def test_a_request_costs_what_its_tokens_cost_when_it_was_made(connection: Connection) -> None:
    dearer = Price(input=200, cached_input=20, output=2_000)
    batch = lines(usage("a", price=PRICE), usage("b", price=dearer), usage("c"))
    record_usage(connection, batch, NOON_S)
    costs = [row_of(connection, request_id).cost_nanos for request_id in "abc"]
    assert costs == [8 * 100 + 2 * 10 + 5 * 1_000, 8 * 200 + 2 * 20 + 5 * 2_000, 0]
    (row,) = sum_usage(connection, SumUsage("2026-11-27", "2026-11-27", ()))
    assert row.cost_nanos == sum(costs)


@pytest.mark.parametrize("is_late", [False, True])
def test_what_the_engine_tells_afterwards_is_charged_at_the_same_price(
    connection: Connection, is_late: bool
) -> None:
    if not is_late:
        record_counts(connection, lines(count()), NOON_S)
    record_usage(connection, lines(cut(price=PRICE)), NOON_S)
    record_counts(connection, lines(count()), NOON_S)
    assert row_of(connection).cost_nanos == 8 * 100 + 2 * 10 + 7 * 1_000
    (row,) = sum_usage(connection, SumUsage("2026-11-27", "2026-11-27", ()))
    assert row.cost_nanos == row_of(connection).cost_nanos


def test_a_months_cost_is_told_of_keys_and_of_tenants_with_a_limit_for_it(
    connection: Connection,
) -> None:
    """A key that was revoked meanwhile counts for its tenant."""
    gone = usage("b", key_id="gone", tenant="lab", price=PRICE)
    batch = lines(usage("a", tenant="lab", price=PRICE), gone, usage("c", price=PRICE))
    record_usage(connection, batch, NOON_S)
    budget = Limits(nanos_per_month=9)
    own = KeyRecord("key1", "k", b"", 0, budget, "lab", tenant_limits=budget)
    other = KeyRecord("key2", "k", b"", 0, tenant="lab", tenant_limits=budget)
    assert limited_use(month(connection, NOON_S), (own, other)) == (
        MonthUse("key1", 30, 2 * 5_820),
        MonthUse("tenant:lab", 30, 2 * 5_820),
    )


def test_a_cost_that_must_be_a_mistake_keeps_no_batch_out(connection: Connection) -> None:
    absurd = usage("a", completion_tokens=2**53, price=Price(1, 1, MOST_PRICE_NANOS))
    assert record_usage(connection, lines(absurd, usage("b")), NOON_S) == 2
    assert row_of(connection).cost_nanos == MOST_COST_NANOS


def test_old_requests_are_forgotten_and_their_sums_are_not(connection: Connection) -> None:
    record_usage(connection, lines(usage("a"), usage("b")), NOON_S)
    record_counts(connection, lines(count("a", completion_tokens=5)), NOON_S)
    later_s = NOON_S + KEEP_DAYS * 86_400
    assert forget(connection, later_s) == 0
    record_usage(connection, lines(usage("c", started_s=float(later_s))), later_s)
    assert forget(connection, later_s + 86_400) == 3
    assert forget(connection, later_s + 86_400) == 0
    assert row_of(connection, "c").completion_tokens == 5
    assert daily(connection)[0] == ("2026-11-27", "key1", "small", 2, 20, 10)


def test_a_record_that_comes_when_its_day_is_forgotten_is_not_counted_again(
    connection: Connection,
) -> None:
    record_usage(connection, lines(usage("a")), NOON_S)
    later_s = NOON_S + (KEEP_DAYS + 1) * 86_400
    forget(connection, later_s)
    assert record_usage(connection, lines(usage("a")), later_s) == 0
    assert daily(connection) == [("2026-11-27", "key1", "small", 1, 10, 5)]
    assert connection.scalars(select(REJECTED_LINES.c.cause)).all() == [
        "is of a day whose requests are not kept any more"
    ]


def test_a_day_is_one_in_utc() -> None:
    assert day_of(NOON_S + 43_199.9) == "2026-11-27"
    assert day_of(NOON_S + 43_200) == "2026-11-28"


REQUESTS = ("a", "b", "c")
told = st.one_of(
    st.lists(st.sampled_from([usage("a"), cut("b", completion_tokens=3), cut("c")]), max_size=4),
    st.lists(
        st.sampled_from(
            [
                count("a", 0, completion_tokens=5),
                count("b", 1, completion_tokens=4),
                # A second answer to the same prompt, and a try at another replica.
                count("b", 2, prompt_tokens=0, completion_tokens=6),
                count("c", 0, replica_id="small.1#9", completion_tokens=2),
            ]
        ),
        max_size=4,
    ),
)
ALL = (
    [usage("a"), cut("b", completion_tokens=3), cut("c")],
    [
        count("a", 0, completion_tokens=5),
        count("b", 1, completion_tokens=4),
        count("b", 2, prompt_tokens=0, completion_tokens=6),
        count("c", 0, replica_id="small.1#9", completion_tokens=2),
    ],
)


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(batches=st.lists(told, max_size=8))
def test_any_order_any_repetition_and_any_pieces_come_to_the_same(
    connection: Connection, batches: list[list[Any]]
) -> None:
    """Safety: no state on the way counts twice. Liveness: when all was told, all is there."""
    for table in (USAGE, USAGE_DAILY, ENGINE_COUNTS):
        connection.execute(delete(table))
    for batch in batches:
        tell(connection, batch)
        assert_sums_agree(connection)
    for batch in ALL:
        tell(connection, list(reversed(batch)))
    assert_sums_agree(connection)
    shown = select(USAGE.c.request_id, USAGE.c.completion_tokens, USAGE.c.source)
    assert [tuple(row) for row in connection.execute(shown.order_by(USAGE.c.request_id))] == [
        ("a", 5, "reply"),
        ("b", 10, "count"),
        ("c", 5, "estimate"),
    ]
    found = reconcile(connection, TODAY)
    assert found.agrees
    assert found.engine_tokens - found.abandoned_tokens == found.ledger_tokens - 5


def tell(connection: Connection, batch: list[Any]) -> None:
    record = record_counts if batch and hasattr(batch[0], "number") else record_usage
    record(connection, lines(*batch), NOON_S)


def assert_sums_agree(connection: Connection) -> None:
    """The daily sums are those of the records."""
    rows = connection.execute(select(USAGE)).all()
    sums = connection.execute(select(USAGE_DAILY)).all()
    for name in ("prompt_tokens", "cached_tokens", "completion_tokens", "accelerator_s"):
        assert sum(getattr(row, name) for row in rows) == sum(getattr(row, name) for row in sums)
    assert len(rows) == sum(row.requests for row in sums)
