"""No minute, wherever it begins, holds more than it may; what was owed is paid later."""

from dataclasses import dataclass

import pytest
from hypothesis import example, given
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


#: Seconds that pass, what is reserved, how much of it is used in the end, and after how long.
HOLDS = st.lists(
    st.tuples(st.floats(0, 30), st.integers(1, 30), st.floats(0, 1), st.floats(0, 150)),
    min_size=1,
    max_size=60,
)


@dataclass
class Held:
    at_s: float
    second: int
    amount: int
    used: int
    ends_s: float


@given(HOLDS)
@example([(0, 19, 0.0, 30), (29, 21, 1.0, 59), (32, 20, 1.0, 0), (0, 20, 1.0, 0)])
def test_nothing_is_let_in_while_a_minute_holds_what_is_allowed_whatever_is_given_back(
    asks: list[tuple[float, int, float, float]],
) -> None:
    """A minute holds what is reserved by who has not ended, and what was used by who has."""
    window, now_s, held = Window(), 1_000.0, list[Held]()
    for passed_s, amount, part, lasts_s in asks:
        now_s += passed_s
        for each in sorted(held, key=lambda one: one.ends_s):
            if each.ends_s <= now_s and each.amount > each.used:
                window.roll(each.ends_s, MOST)
                window.refund(each.second, each.amount - each.used)
                each.amount = each.used
        window.roll(now_s, MOST)
        if window.total < MOST:
            assert sum(each.amount for each in held if now_s - WINDOW_S < each.at_s) < MOST
            second = window.charge(now_s, amount, MOST)
            held.append(Held(now_s, second, amount, int(amount * part), now_s + lasts_s))


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


def test_a_refund_is_of_its_second_then_of_what_is_owed_and_never_of_the_past() -> None:
    window = Window()
    second = window.charge(100.0, 12, 10)
    window.refund(second, 5)
    assert (window.used, window.owed) == (5, 2)
    window.roll(100.0, 10)
    assert (window.used, window.owed) == (7, 0)
    window.charge(130.0, 4)
    window.roll(165.0)
    window.refund(second, 7)
    assert window.used == 4


def test_all_comes_back_of_a_reservation_that_was_paid_as_the_share_grew() -> None:
    window = Window()
    second = window.charge(100.0, 12, 5)
    window.roll(110.0, 12)
    assert (window.used, window.owed) == (12, 0)
    window.refund(second, 10)
    assert window.total == 2


def test_what_is_owed_for_over_a_minute_comes_back_to_who_owes_it_and_to_nobody_else() -> None:
    window = Window()
    earlier = window.charge(100.0, 9, 10)
    later = window.charge(101.0, 30, 10)
    window.roll(170.0, 10)
    assert (window.used, window.owed) == (10, 19)
    window.refund(earlier, 9)
    assert window.total == 29
    window.refund(later, 28)
    assert window.total == 1


def test_an_empty_window_says_so() -> None:
    window = Window()
    assert (window.room_in_s(5.0, 1), window.empty_in_s(5.0)) == (0.0, 0.0)
    window.charge(5.5, 1)
    assert window.empty_in_s(5.5) == pytest.approx(60.5)
    assert window.room_in_s(6.0, 1) == pytest.approx(60.0)
    assert window.room_in_s(6.0, 0) == WINDOW_S
