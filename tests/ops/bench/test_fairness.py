"""The bench of noisy tenants: the same figures every time, and fair turns that hold."""

import pytest

from ops.bench.fairness import Figures, measure, table
from ops.bench.noisy import SCENARIOS, Scenario
from ops.bench.saturation import FairTurns, FirstComeFirstServed, Tenant, requests

#: The most that noisy tenants may move the others' p99 to first token.
MOST_RISE = 0.2


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[each.name for each in SCENARIOS])
def test_a_noisy_tenant_moves_nobody_elses_first_token(scenario: Scenario) -> None:
    figures = measure(FairTurns, scenario)
    assert figures.rise <= MOST_RISE
    assert figures.refused_share == 0


def test_in_the_order_of_arrival_it_does() -> None:
    figures = measure(FirstComeFirstServed, SCENARIOS[0])
    assert figures.rise > 5
    assert figures.refused_share > 0.5


def test_a_tenant_asks_the_same_whoever_else_is_there() -> None:
    one, other = Tenant("one", 2.0), Tenant("other", 5.0)
    alone = [(each.at_s, each.prompt_tokens) for each in requests([one], 20.0, 1)]
    both = requests([one, other], 20.0, 1)
    assert [(each.at_s, each.prompt_tokens) for each in both if each.tenant == "one"] == alone
    assert [each.at_s for each in both] == sorted(each.at_s for each in both)


def test_the_table_shows_what_was_measured() -> None:
    figures = Figures(0.2, 0.5, 0.55, 0.0, 5_000.0)
    page = table({("long prompts", "fair turns"): figures}).markdown()
    assert "| long prompts | fair turns | 0.20 s | 0.50 s | 0.55 s | +10% | 0% | 5,000 |" in page
