"""The registry: old news is not no news, a successor ends its predecessor, a snapshot is whole."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from serving.registry import FORGET_S, Registry
from serving.snapshot import GatewayReport, KeyRecord, MonthUse
from tests.serving.reports import replica

REPORT = replica()


def ids(registry: Registry, now_s: float) -> list[str]:
    return [report.replica_id for report in registry.replicas(now_s)]


def test_a_new_start_of_an_application_ends_the_old_one_at_once() -> None:
    registry = Registry("t")
    registry.report(REPORT, 0)
    registry.report(replace(REPORT, replica_id="m.0#2"), 1)
    registry.leave("m.0#1", 1)
    assert ids(registry, 1) == ["m.0#2"]


def test_a_report_that_was_under_way_does_not_bring_back_a_replica_that_left() -> None:
    registry = Registry("t")
    registry.report(REPORT, 0)
    registry.leave("m.0#1", 1)
    registry.report(REPORT, 1.5)
    assert ids(registry, 2) == []
    registry.report(replace(REPORT, replica_id="m.0#2"), 3)
    assert ids(registry, 3) == ["m.0#2"]


def test_a_silent_replica_is_kept_for_a_while() -> None:
    registry = Registry("t")
    registry.report(REPORT, 0)
    assert ids(registry, FORGET_S) == ["m.0#1"]
    assert ids(registry, FORGET_S + 1) == []


def test_a_gateway_that_knows_the_newest_gets_nothing() -> None:
    registry = Registry("t", version=7)
    registry.report(REPORT, 0)
    snapshot = registry.snapshot(0, 0)
    assert snapshot is not None
    assert snapshot.replicas == (REPORT,)
    assert registry.snapshot(snapshot.version, 0) is None
    registry.report(REPORT, 1)
    assert registry.snapshot(snapshot.version, 1) is None
    registry.set_keys((KeyRecord("id", "name", b"d", 1),))
    newer = registry.snapshot(snapshot.version, 1)
    assert newer is not None
    assert newer.keys[0].id == "id"


def test_gateways_are_counted_while_they_report() -> None:
    registry = Registry("t")
    registry.report_gateway(GatewayReport("g", "n", 1, "n:8000"), 0)
    assert len(registry.gateways(5)) == 1
    assert registry.gateways(60) == ()


def test_the_token_is_not_in_what_is_printed() -> None:
    registry = Registry("secret-token")
    assert "secret-token" not in repr(registry)
    assert "secret-token" not in repr(registry.snapshot(-1, 0))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), max_size=40))
def test_there_is_never_more_than_one_replica_of_an_application(
    events: list[tuple[int, int, bool]],
) -> None:
    registry = Registry("t")
    left = set()
    for now_s, (application, start, leaves) in enumerate(events):
        replica_id = f"m.{application}#{start}"
        if leaves:
            left.add(replica_id)
            registry.leave(replica_id, now_s)
        else:
            name = f"m.{application}"
            registry.report(replace(REPORT, replica_id=replica_id, application=name), now_s)
        assert (replica_id in ids(registry, now_s)) == (replica_id not in left)
        applications = [report.application for report in registry.replicas(now_s)]
        assert len(applications) == len(set(applications))


def test_what_keys_used_this_month_is_told_with_the_next_answer_and_wakes_nobody() -> None:
    registry = Registry("token")
    urgent, known = registry.urgent_version, registry.version
    registry.set_month((MonthUse("k", 7),))
    snapshot = registry.snapshot(known, 0.0)
    assert snapshot is not None
    assert snapshot.month == (MonthUse("k", 7),)
    assert registry.urgent_version == urgent
    registry.set_month((MonthUse("k", 7),))
    assert registry.snapshot(snapshot.version, 0.0) is None
