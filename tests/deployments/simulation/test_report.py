"""Figures of a report, by hand."""

import math

import pytest

from deployments.simulation.accelerators import Accelerators
from deployments.simulation.record import Ending, Record
from deployments.simulation.report import percentile, report
from deployments.simulation.run import Outcome
from tests.deployments.simulation.times import arrival


def outcome() -> Outcome:
    answered = [
        Record(arrival(100, 11, at_s=at), "m", Ending.ANSWERED, at + 12.0, at + 2.0, found)
        for at, found in ((0.0, 0), (1.0, 50), (2.0, 100))
    ]
    late = Record(arrival(700, 1, at_s=3.0), "m", Ending.LATE, 60.0)
    accelerators = Accelerators({"n1": 8})
    accelerators.seconds["m"] = 200.0
    accelerators.changes += [(0.0, "m", 2), (40.0, "m", 4), (50.0, "other", 1)]
    return Outcome((*answered, late), 100.0, accelerators, (), 0)


def test_figures_are_of_what_was_answered_and_what_was_not_is_lost() -> None:
    summary = report(outcome(), ["m", "idle"]).models["m"]
    assert (summary.requests, summary.lost, summary.endings[Ending.LATE]) == (4, 1, 1)
    assert (summary.first_token_s.p50, summary.first_token_s.p99) == (3.0, 4.0)
    assert summary.token_s.p90 == pytest.approx(1.0)
    assert summary.prompt_tokens_per_s == 3.0
    assert summary.output_tokens_per_s == pytest.approx(0.33)
    assert summary.hit_rate == 0.5
    assert summary.accelerator_share == 200 / (8 * 100)


def test_a_model_that_nobody_asked_for_has_no_figures() -> None:
    summary = report(outcome(), ["m", "idle"]).models["idle"]
    assert summary.requests == summary.lost == 0
    assert math.isnan(summary.first_token_s.p50)
    assert math.isnan(summary.hit_rate)


def test_over_time_requests_stand_where_they_came_and_accelerators_where_they_were() -> None:
    points = report(outcome(), ["m"]).timeline["m"]
    assert [point.at_s for point in points] == [15, 30, 45, 60, 75, 90, 105]
    assert [point.accelerators for point in points] == [2, 2, 4, 4, 4, 4, 4]
    assert points[0].first_token_p90_s == 4.0
    assert math.isnan(points[1].first_token_p90_s)


@pytest.mark.parametrize(("share", "value"), [(0.5, 2), (0.51, 3), (0.9, 4), (0.0, 1)])
def test_a_percentile_is_a_value_that_there_was(share: float, value: float) -> None:
    assert percentile([1, 2, 3, 4], share) == value
