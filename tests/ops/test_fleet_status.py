"""Why models have so many replicas, as lines."""

from ops.fleet_status import fleet_status, scaling_lines


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
