"""Times in buckets: what goes in comes out within a bucket's width, and sums are sums."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import histogram

TIMES = st.lists(st.floats(0.01, 160), min_size=1, max_size=50)


def counted(times_s: list[float]) -> list[int]:
    counts = [0] * histogram.BUCKETS
    for each in times_s:
        counts[histogram.bucket(each)] += 1
    return counts


@given(TIMES, st.floats(0.01, 1))
def test_a_percentile_is_right_to_within_a_bucket(times_s: list[float], share: float) -> None:
    found = histogram.percentile(counted(times_s), share)
    rank = max(1, -(-round(share * len(times_s) * 1e9) // 10**9))
    exact = sorted(times_s)[min(rank, len(times_s)) - 1]
    assert found is not None
    assert exact * 0.999 <= found <= exact * 1.42 or found == histogram.BOUNDS_S[0]


@given(TIMES, TIMES)
def test_the_sum_of_two_is_the_histogram_of_both(a: list[float], b: list[float]) -> None:
    assert histogram.total([counted(a), counted(b)]) == counted([*a, *b])


def test_nothing_has_no_percentile_and_what_is_no_histogram_is_left_out() -> None:
    assert histogram.percentile([0] * histogram.BUCKETS, 0.9) is None
    assert histogram.total([(1, 2), ()]) == [0] * histogram.BUCKETS


@pytest.mark.parametrize(("seconds", "end_s"), [(0, 0.01), (1e9, histogram.BOUNDS_S[-1])])
def test_the_ends_are_ends(seconds: float, end_s: float) -> None:
    assert histogram.percentile(counted([seconds]), 1) == end_s
