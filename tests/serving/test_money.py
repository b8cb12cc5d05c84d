"""Amounts, prices and costs: whole billionths, exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.money import MOST_COST_NANOS, Price, nanos_of, shown

_PRICE = Price(input=250, cached_input=25, output=1_000)
_TOKENS = st.integers(0, 10**9)


def test_tokens_that_were_in_a_cache_have_a_price_of_their_own() -> None:
    assert _PRICE.cost_nanos(100, 0, 0) == 25_000
    assert _PRICE.cost_nanos(100, 60, 0) == 40 * 250 + 60 * 25
    assert _PRICE.cost_nanos(100, 60, 7) == 40 * 250 + 60 * 25 + 7_000


@given(_TOKENS, _TOKENS, _TOKENS)
def test_a_cost_is_never_negative_whatever_engines_count(
    prompt: int, cached: int, completion: int
) -> None:
    cost = _PRICE.cost_nanos(prompt, cached, completion)
    assert 0 <= cost <= MOST_COST_NANOS
    assert cost <= _PRICE.cost_nanos(prompt, 0, completion)


@given(st.lists(st.tuples(_TOKENS, _TOKENS), max_size=20))
def test_a_bill_is_the_sum_of_its_requests(requests: list[tuple[int, int]]) -> None:
    costs = [_PRICE.cost_nanos(prompt, 0, completion) for prompt, completion in requests]
    together = _PRICE.cost_nanos(sum(p for p, _ in requests), 0, sum(c for _, c in requests))
    assert sum(costs) == together or together == MOST_COST_NANOS


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(0, "0"), (1, "0.000000001"), (12_500_000_000, "12.5"), (10**18, "1000000000")],
)
def test_an_amount_is_shown_as_people_write_it(nanos: int, text: str) -> None:
    assert shown(nanos) == text
    assert nanos_of(text, 10**9) == nanos


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "nan", "inf", "1,5", "1e999999", "1000000001", "0.0000000001"]
)
def test_what_is_no_amount_is_none(text: str) -> None:
    assert nanos_of(text, 10**9) is None


def test_a_price_of_a_million_tokens_is_a_thousandth_of_it_for_one() -> None:
    assert nanos_of("0.125", 10**6, 1_000) == 125
    assert nanos_of("0.1255", 10**6, 1_000) is None
