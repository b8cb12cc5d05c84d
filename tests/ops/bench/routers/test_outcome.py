from collections import Counter

import pytest

from ops.bench.routers.metrics import Seen
from ops.bench.routers.outcome import Measured, Outcome, Traffic, outcome
from ops.bench.routers.replay import Replies
from ops.bench.sample import Mark

BUSY = Traffic(3.5)


def engine(prompt: int, cached: int) -> Seen:
    return Seen(1, prompt, cached, 10, 1.0, late_s=0.5, steps=100)


def mark(**changed: float) -> Mark:
    names = ("gateway", "family", "load", "upstream", "gateway_core", "load_core")
    return Mark(**{f"{name}_s": changed.get(name, 0.0) for name in names})


def measured(*engines: Seen, **used: float) -> Outcome:
    replies = Replies([0.1, 0.2, 0.4], [1.0, 1.1, 1.2], Counter({"status 503": 2}), 30, 10.0)
    return outcome("x", BUSY, Measured(replies, engines or (engine(10, 5),), mark(**used), 5.0))


def test_times_and_rates_are_the_modelled_engines() -> None:
    found = measured()

    assert (found.ttft_p50_s, found.ttft_p90_s) == (1.0, 2.0)
    assert found.requests_per_s == 3 / 50
    assert found.tokens_per_s == 30 / 50
    assert found.errors == {"status 503": 2}
    assert found.late_s == 0.005


def test_hit_rate_and_spread_are_what_the_engines_saw() -> None:
    found = measured(engine(100, 60), engine(100, 80))

    assert found.hit_rate == 0.7
    assert found.spread == pytest.approx(40 / 30)


@pytest.mark.parametrize(
    ("used", "is_bound"),
    [
        ({"load": 3.0, "upstream": 2.0, "load_core": 5.0}, False),
        ({"load": 3.0, "upstream": 2.0, "load_core": 9.0}, True),
        ({"gateway": 8.5, "family": 8.5, "gateway_core": 8.5}, True),
        ({"load": 4.0, "upstream": 4.5, "load_core": 8.5}, True),
    ],
)
def test_a_run_whose_rig_or_router_had_no_time_left_is_marked(
    used: dict[str, float], is_bound: bool
) -> None:
    assert measured(**used).is_rig_bound is is_bound


def test_a_traffic_says_what_it_is() -> None:
    assert BUSY.name == "3.5x as it is"
    assert Traffic(2, shares_prefixes=False).name == "2x without shared prefixes"
