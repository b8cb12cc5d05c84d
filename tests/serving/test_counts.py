"""Counts of all gateways together: nothing twice, nothing lost, whoever comes and goes."""

from hypothesis import given
from hypothesis import strategies as st

from serving.counts import ModelCounts, Totals
from serving.gateway.counting import ModelCounters
from serving.usage import Outcome
from tests.deployments.ledger.records import usage

#: Requests that each of three gateways has answered between two of its reports.
STORIES = st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 5)), max_size=40)


@given(STORIES)
def test_the_total_is_what_came_since_each_gateway_was_first_heard(
    story: list[tuple[str, int]],
) -> None:
    totals, expected = Totals(), 0
    counters: dict[str, ModelCounters] = {}
    for at, (name, requests) in enumerate(story):
        counter = counters.setdefault(name, ModelCounters())
        is_known = bool(counter.counts()) or name in {each for each, _ in story[:at]}
        for _ in range(requests):
            counter.add(usage(), 0.0)
        totals.add(name, counter.counts(), float(at))
        expected += requests if is_known else 0
    assert totals.by_model.get("small", ModelCounts("small")).requests == expected


def test_a_gateway_that_is_gone_takes_nothing_away_and_starts_anew_when_it_is_back() -> None:
    totals, counters = Totals(), ModelCounters()
    totals.add("g", (), 0.0)
    counters.add(usage(), 0.5)
    totals.add("g", counters.counts(), 1.0)
    totals.forget(100.0, after_s=60.0)
    assert totals.by_model["small"].requests == 1
    totals.add("g", counters.counts(), 101.0)
    counters.add(usage(), 0.5)
    totals.add("g", counters.counts(), 102.0)
    assert totals.by_model["small"].requests == 2


def test_a_record_is_counted_under_the_model_that_was_asked_for() -> None:
    counters = ModelCounters()
    counters.add(usage(model_answered="big", attempts=3, duration_s=2.5), first_token_s=0.5)
    counters.add(usage(outcome=Outcome.CUT), first_token_s=None)
    [counts] = counters.counts()
    assert (counts.model, counts.requests) == ("small", 2)
    assert (counts.ended_as(Outcome.COMPLETE), counts.ended_as(Outcome.CUT)) == (1, 1)
    assert (counts.fallbacks, counts.retries) == (1, 2)
    assert (counts.prompt_tokens, counts.cached_tokens, counts.completion_tokens) == (20, 4, 10)
    assert (sum(counts.first_tokens.counts), counts.first_tokens.sum_s) == (1, 0.5)
    assert (sum(counts.between_tokens.counts), counts.between_tokens.sum_s) == (1, 0.5)
    assert (sum(counts.durations.counts), counts.durations.sum_s) == (2, 3.0)


def test_what_came_in_between_is_the_difference() -> None:
    counters = ModelCounters()
    counters.add(usage(), 0.25)
    [before] = counters.counts()
    counters.add(usage(outcome=Outcome.CLIENT_GONE), 0.0)
    [after] = counters.counts()
    came = after.minus(before)
    assert came.requests == came.ended_as(Outcome.CLIENT_GONE) == 1
    assert before.plus(came) == after
