import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.bench.stats import Spread, per_thousand, percentile, ratio, spread

finite = st.floats(min_value=-1e9, max_value=1e9)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1.0), (0.5, 5.0), (0.9, 9.0), (0.99, 10.0), (1.0, 10.0)]
)
def test_a_percentile_is_the_value_at_its_rank(share: float, expected: float) -> None:
    assert percentile([float(n) for n in range(10, 0, -1)], share) == expected


def test_the_percentile_of_nothing_is_not_a_number() -> None:
    assert math.isnan(percentile([], 0.5))


@given(st.lists(finite, min_size=1), st.floats(min_value=0, max_value=1))
def test_a_percentile_was_really_measured(values: list[float], share: float) -> None:
    assert percentile(values, share) in values


@given(st.lists(finite, min_size=1))
def test_a_higher_percentile_is_never_lower(values: list[float]) -> None:
    assert percentile(values, 0.5) <= percentile(values, 0.99)


def test_nothing_done_costs_no_known_amount() -> None:
    assert math.isnan(per_thousand(1.0, 0))
    assert per_thousand(0.5, 100) == 5.0


def test_a_ratio_to_nothing_says_nothing() -> None:
    assert ratio(6.0, 2.0) == 3.0
    assert math.isnan(ratio(6.0, 0.0))


def test_a_round_without_the_figure_is_left_out_of_the_spread() -> None:
    assert spread([3.0, math.nan, 1.0, 2.0]) == Spread(median=2.0, low=1.0, high=3.0)


def test_the_spread_of_no_rounds_is_not_a_number() -> None:
    assert math.isnan(spread([math.nan]).median)
