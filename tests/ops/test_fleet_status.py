"""Why models have so many replicas, and what is wrong, as lines."""

from dataclasses import asdict

from ops.fleet_status import fleet_status, scaling_lines
from serving.snapshot import GatewayReport


def test_the_arithmetic_of_every_model_and_the_last_decisions_are_shown() -> None:
    scaling = {
        "counts": {"a": 2},
        "why": {"a": "2: batch 1.20 -> load 1.20, 2 wanted"},
        "history": ["1795420177 a 1 -> 2: there is room"],
    }
    view = fleet_status({}, {"scaling": scaling})
    arithmetic, decision = scaling_lines(view)
    assert arithmetic == "a  2: batch 1.20 -> load 1.20, 2 wanted"
    assert decision.endswith("  a 1 -> 2: there is room")
    assert decision.startswith("2026-11-2")


def test_what_concerns_the_whole_fleet_has_no_model() -> None:
    scaling = {"counts": {}, "why": {"": "a deploy is at work"}, "history": []}
    assert list(scaling_lines(fleet_status({}, {"scaling": scaling}))) == ["a deploy is at work"]


def test_without_an_inventory_it_says_that_nobody_decides() -> None:
    (line,) = scaling_lines(fleet_status({}, {"scaling": None}))
    assert "without an inventory" in line


def test_who_leaves_out_which_replica_and_what_is_in_quarantine_is_noted() -> None:
    report = GatewayReport("gateway.1", "n", 1, "n:8000", left_out=("m.0#1", "m.1#2"))
    view = fleet_status({}, {"gateways": [asdict(report)], "quarantined": 2})
    assert view["gateways"][0]["left_out"] == ["m.0#1", "m.1#2"]
    assert view["notes"] == [
        "gateway.1 leaves out m.0#1 m.1#2: see its log",
        "requests that replicas died with and that are refused now: 2",
    ]


def test_a_replica_without_a_place_is_noted_with_the_reason() -> None:
    view = fleet_status({}, {"scaling": {"blocked": {"m.1": "needs 8, 0 are free"}}})
    assert view["notes"] == ["m.1 is blocked: needs 8, 0 are free"]


def test_a_suspect_node_is_noted_before_what_is_blocked_by_it() -> None:
    what = "suspect: its driver answers for 7 of 8 accelerators"
    blocked = {"blocked": {"m.1": f"n1 is {what}"}}
    assert fleet_status({}, {"suspects": {"10.0.0.1": what}, "scaling": blocked})["notes"] == [
        f"10.0.0.1 is {what}; nothing starts there",
        f"m.1 is blocked: n1 is {what}",
    ]


def test_where_nothing_is_wrong_nothing_is_noted() -> None:
    report = asdict(GatewayReport("gateway.1", "n", 1, "n:8000"))
    assert fleet_status({}, {"gateways": [report], "quarantined": 0})["notes"] == []


def test_a_replica_that_dies_often_is_noted() -> None:
    view = fleet_status({}, {"restarts": {"m.0": 4}})
    assert view["notes"] == ["m.0 died 4 times within 10 minutes: see its log"]
