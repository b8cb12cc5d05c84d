"""A replica that fails is left out, tried again by one request at a time, and comes back."""

from hypothesis import given
from hypothesis import strategies as st

from serving.routing.breaker import (
    CALM_S,
    FAILURES_IN_A_ROW,
    HOLD_S,
    LONGEST_HOLD_S,
    SETTLED,
    TRANSITIONS,
    Breaker,
    Event,
    State,
    Symptom,
)


def opened(now_s: float = 0.0) -> Breaker:
    breaker = Breaker()
    assert breaker.trip(now_s, Symptom.UNREACHABLE)
    return breaker


def test_open_it_is_out_for_a_hold_and_then_for_all_but_one_probe() -> None:
    breaker = opened(10.0)
    assert breaker.out_until_s == 10.0 + HOLD_S
    assert breaker.sent()
    assert not breaker.sent()
    assert breaker.out_until_s == float("inf")


def test_the_first_token_of_a_probe_brings_it_back_with_a_clean_record() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_IN_A_ROW):
        breaker.failed()
    breaker.trip(0.0, Symptom.FAILED)
    breaker.sent()
    breaker.began()
    assert (breaker.state, breaker.out_until_s) == (State.CLOSED, 0.0)
    assert not breaker.is_failing


def test_each_failed_probe_doubles_the_hold_up_to_a_bound() -> None:
    breaker, now_s, holds = Breaker(), 0.0, []
    for _ in range(2_000):  # more than a float can double
        breaker.trip(now_s, Symptom.UNREACHABLE)
        holds.append(breaker.out_until_s - now_s)
        now_s = breaker.out_until_s
        breaker.sent()
    assert holds[:6] == [1, 2, 4, 8, 16, 32]
    assert set(holds[6:]) == {LONGEST_HOLD_S}


def test_after_a_calm_time_the_hold_is_the_first_again() -> None:
    breaker = opened(0.0)
    breaker.sent()
    breaker.succeeded()
    later_s = HOLD_S + CALM_S + 1.0
    breaker.trip(later_s, Symptom.DIED)
    assert breaker.out_until_s == later_s + HOLD_S


def test_a_probe_that_says_nothing_changes_nothing() -> None:
    breaker = opened()
    breaker.sent()
    breaker.left()
    assert (breaker.state, breaker.out_until_s) == (State.OPEN, HOLD_S)


def test_while_it_is_open_news_of_older_requests_changes_nothing() -> None:
    breaker = opened()
    breaker.began()
    breaker.succeeded()
    assert not breaker.trip(0.5, Symptom.DIED)
    assert breaker.out_until_s == HOLD_S


def test_failures_in_a_row_and_a_share_of_failures_are_each_enough() -> None:
    row, share, few = Breaker(), Breaker(), Breaker()
    for _ in range(FAILURES_IN_A_ROW):
        row.failed()
    for _ in range(SETTLED):
        share.failed()
        share.failed()
        share.succeeded()
    few.failed()
    few.succeeded()
    assert (row.is_failing, share.is_failing, few.is_failing) == (True, True, False)


def test_that_it_was_hung_is_remembered_even_while_it_is_open() -> None:
    breaker = opened(1.0)
    breaker.trip(7.0, Symptom.HUNG)
    assert breaker.hung_s == 7.0


def test_every_state_can_be_left_and_reached() -> None:
    assert {state for state, _ in TRANSITIONS} == set(State)
    assert set(TRANSITIONS.values()) == set(State)
    assert {event for _, event in TRANSITIONS} == set(Event)


STEPS = st.lists(
    st.tuples(st.sampled_from(["trip", "sent", "left", "began", "succeeded", "failed"]),
              st.floats(0, 100)),
)  # fmt: skip


@given(STEPS)
def test_whatever_happens_it_is_out_exactly_when_it_is_not_closed_and_never_for_ever(
    steps: list[tuple[str, float]],
) -> None:
    breaker, now_s = Breaker(), 0.0
    for step, after_s in steps:
        now_s += after_s
        if step == "trip":
            breaker.trip(now_s, Symptom.DIED)
        else:
            getattr(breaker, step)()
        assert breaker.is_closed is (breaker.out_until_s == 0.0)
        assert 0.0 <= breaker.failed_share <= 1.0
    if not breaker.is_closed:
        breaker.left()  # no probe is under way for ever
        assert breaker.out_until_s <= now_s + LONGEST_HOLD_S
        breaker.sent()
        breaker.began()
        assert breaker.is_closed
