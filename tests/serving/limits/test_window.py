"""No minute, wherever it begins, holds more than it may; what was owed is paid later."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.limits.window import WINDOW_S, Window

MOST = 20

#: Seconds that pass, and how much is asked for then.
ASKS = st.lists(
    st.tuples(st.floats(0, 70, allow_nan=False), st.integers(1, 30)), min_size=1, max_size=60
)


def let_in(asks: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """When what was let in, by a window that lets in while there is room."""
    window, now_s, found = Window(), 1_000.0, []
    for passed_s, amount in asks:
        now_s += passed_s
        window.roll(now_s, MOST)
        if window.total < MOST:
            window.charge(now_s, amount, MOST)
            found.append((now_s, amount))
    return found


@given(ASKS)
def test_no_minute_holds_more_than_is_allowed_and_its_last_request(
    asks: list[tuple[float, int]],
) -> None:
    found = let_in(asks)
    for end_s, _ in found:
        minute = [amount for at_s, amount in found if end_s - WINDOW_S < at_s <= end_s]
        assert sum(minute[:-1]) < MOST


@given(ASKS)
def test_over_a_long_time_the_average_is_what_is_allowed(asks: list[tuple[float, int]]) -> None:
    found = let_in(asks)
    if found:
        minutes = (found[-1][0] - found[0][0]) / WINDOW_S
        before_last = sum(amount for _, amount in found[:-1])
        assert before_last <= MOST * (minutes + 1)


@given(ASKS)
def test_room_comes_when_it_was_said_and_not_before(asks: list[tuple[float, int]]) -> None:
    window, now_s = Window(), 1_000.0
    for passed_s, amount in asks:
        now_s += passed_s
        window.roll(now_s, MOST)
        window.charge(now_s, min(amount, MOST), MOST)
        if window.owed:
            continue
        wait_s = window.room_in_s(now_s, MOST)
        window.roll(now_s + wait_s, MOST)
        assert window.total < MOST
        now_s += wait_s


def test_what_is_owed_is_paid_as_room_comes() -> None:
    window = Window()
    window.charge(100.0, 30, 10)
    assert (window.used, window.owed) == (10, 20)
    window.roll(160.9, 10)
    assert (window.used, window.owed) == (10, 20)
    window.roll(161.0, 10)
    assert (window.used, window.owed) == (10, 10)
    window.roll(400.0, 10)
    window.roll(461.0, 10)
    assert window.total == 0


def test_a_refund_goes_to_what_is_owed_then_to_its_second_and_never_to_the_past() -> None:
    window = Window()
    second = window.charge(100.0, 12, 10)
    window.refund(second, 5)
    assert (window.used, window.owed) == (7, 0)
    window.charge(130.0, 4)
    window.roll(165.0)
    window.refund(second, 7)
    assert window.used == 4


def test_an_empty_window_says_so() -> None:
    window = Window()
    assert (window.room_in_s(5.0, 1), window.empty_in_s(5.0)) == (0.0, 0.0)
    window.charge(5.5, 1)
    assert window.empty_in_s(5.5) == pytest.approx(60.5)
    assert window.room_in_s(6.0, 1) == pytest.approx(60.0)
    assert window.room_in_s(6.0, 0) == WINDOW_S
