"""What a demand is worth in replicas."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.demand import Demand
from deployments.sizing import size
from deployments.terms import Terms
from tests.deployments.demands import DEMANDS

TERMS = Terms(min=0, max=8, accelerators=1, sequences=10, cache_tokens=1000, first_token_s=1.0)


@pytest.mark.parametrize(
    ("demand", "load", "wanted"),
    [
        (Demand(), 0, 0),
        (Demand(ready=1, running=8), 1, 1),
        (Demand(ready=1, running=8, waiting=1), 1.125, 2),
        (Demand(ready=1, running=2, kv_use=0.8), 1, 1),
        (Demand(ready=2, running=2, waiting=2, kv_use=0.8), 4, 4),
        (Demand(ready=2, running=4, first_token_s=1.5), 3, 3),
        (Demand(ready=2, running=4, first_token_s=60), 4, 4),
        (Demand(queued=4, tokens_in_flight=2000), 2.5, 3),
        (Demand(ready=1, arrivals_per_s=0.1), 0, 1),
        (Demand(ready=1, running=800), 100, 8),
    ],
)
def test_what_takes_most_of_a_replica_decides(demand: Demand, load: float, wanted: int) -> None:
    found = size(demand, TERMS)
    assert found.load == pytest.approx(load)
    assert found.wanted == wanted


def test_a_slow_first_token_of_requests_that_have_a_replica_each_asks_for_nothing() -> None:
    assert size(Demand(ready=2, running=2, first_token_s=60), TERMS).wanted == 1


def test_between_enough_and_too_few_there_is_a_band() -> None:
    found = size(Demand(ready=2, running=10), TERMS)
    assert (found.wanted, found.enough) == (2, 2)
    found = size(Demand(ready=3, running=12), TERMS)
    assert (found.wanted, found.enough) == (2, 3)


def test_the_arithmetic_is_told() -> None:
    why = size(Demand(ready=1, running=80, kv_use=0.5), TERMS, rise=1.5).why
    assert why == (
        "cache 0.62, batch 10.00, arrivals rising 1.50x -> load 15.00, 15 wanted, 8 allowed"
    )


@given(DEMANDS, st.integers(0, 3), st.integers(3, 9), st.floats(1, 1.5))
def test_nobody_is_promised_less_than_min_or_more_than_max(
    demand: Demand, least: int, most: int, rise: float
) -> None:
    found = size(demand, Terms(least, most, accelerators=1), rise)
    assert least <= found.wanted <= found.enough <= most
    assert found.wanted >= min(1, most) or demand.is_idle


@pytest.mark.parametrize("figure", [float("nan"), float("inf"), -1.0])
def test_figures_that_cannot_be_are_not_sound(figure: float) -> None:
    assert Demand(ready=1, running=1).is_sound
    assert not Demand(arrivals_per_s=figure).is_sound
    assert not Demand(kv_use=figure).is_sound
    assert not Demand(first_token_s=figure).is_sound
    assert not Demand(kv_use=1.5).is_sound
    assert not Demand(queued=-1).is_sound
