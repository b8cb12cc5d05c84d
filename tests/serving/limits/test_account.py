"""One key at one gateway: what is let in, reserved, grown and settled."""

import pytest

from serving.limits.account import SHARE_COMES_S, Account, Exceeded, Hold, Limit, first_exceeded
from serving.limits.lease import Share
from serving.limits.terms import MOST, Limits
from tests.serving.limits.clock import Clock


def account(share: float = 1.0, **limits: int) -> tuple[Account, Clock]:
    clock = Clock()
    return Account(Limits(**limits), share, clock), clock


def test_requests_are_let_in_up_to_the_limit_and_again_when_the_minute_has_passed() -> None:
    found, clock = account(requests_per_minute=2)
    for _ in range(2):
        assert found.exceeded() is None
        Hold((found,), 0, 0).settle(0)
    assert found.exceeded() == Exceeded(Limit.REQUESTS, 2, 61.0)
    clock.pass_(61)
    assert found.exceeded() is None


def test_what_runs_counts_until_it_has_ended() -> None:
    found, _ = account(concurrent=1)
    hold = Hold((found,), 0, 0)
    exceeded = found.exceeded()
    assert exceeded is not None
    assert exceeded.limit is Limit.CONCURRENT
    hold.settle(0)
    hold.settle(0)
    assert found.in_flight == 0
    assert found.exceeded() is None


def test_a_share_of_less_than_one_request_lets_one_in() -> None:
    found, _ = account(0.1, requests_per_minute=2)
    assert found.exceeded() is None
    Hold((found,), 0, 0)
    assert found.exceeded() is not None


def test_without_a_share_nothing_is_let_in() -> None:
    for limits in ({"requests_per_minute": 9}, {"tokens_per_minute": 9}, {"concurrent": 9}):
        found, _ = account(0.0, **limits)
        assert found.exceeded() is not None


def test_tokens_are_held_at_first_and_settled_on_what_was_used() -> None:
    found, _ = account(tokens_per_minute=1_000)
    hold = Hold((found,), 100, 900)
    assert found.exceeded() is not None
    hold.settle(150)
    assert found.tokens.total == 150
    assert found.exceeded() is None


def test_a_stream_that_outgrows_its_hold_is_charged_as_it_goes() -> None:
    found, clock = account(tokens_per_minute=1_000)
    hold = Hold((found,), 100, 400)
    hold.grow(300)
    assert found.tokens.total == 500
    clock.pass_(30)
    hold.grow(700)
    assert found.tokens.total == 800
    hold.settle(900)
    hold.grow(9_999)
    assert found.tokens.total == 900


def test_what_goes_over_the_limit_is_owed_in_the_next_minute() -> None:
    found, clock = account(tokens_per_minute=100)
    Hold((found,), 250, 0).settle(250)
    clock.pass_(61)
    assert found.exceeded() is not None
    clock.pass_(61)
    assert found.exceeded() is None


def test_a_spent_month_refuses_whatever_the_minute_says_and_wants_no_share() -> None:
    found, _ = account(tokens_per_month=10, requests_per_minute=5)
    found.month_tokens = 9
    assert found.exceeded() is None
    found.month_tokens = 10
    assert found.exceeded() == Exceeded(Limit.MONTH, 10, 0.0)
    assert found.use("k").wanted == 0


def test_the_user_is_told_what_is_left_of_the_whole_limit() -> None:
    found, clock = account(0.5, requests_per_minute=10)
    found.elsewhere = Share("k", 0.5, requests_elsewhere=3)
    Hold((found,), 0, 0)
    standing = found.requests_standing()
    assert standing is not None
    assert (standing.most, standing.remaining) == (10, 6)
    assert 60 < standing.reset_s <= 61
    clock.pass_(61)
    standing = found.requests_standing()
    assert standing is not None
    assert standing.reset_s == 0
    assert found.tokens_standing() is None


def test_where_others_may_have_a_share_to_spare_the_wait_is_short() -> None:
    found, _ = account(0.1, requests_per_minute=10)
    Hold((found,), 0, 0)
    exceeded = found.exceeded()
    assert exceeded is not None
    assert exceeded.retry_after_s == SHARE_COMES_S


def test_the_controller_hears_what_is_held_and_what_would_be_used() -> None:
    found, _ = account(0.25, requests_per_minute=8, tokens_per_minute=1_000)
    Hold((found,), 400, 0)
    use = found.use("k")
    assert (use.held, use.wanted, use.requests, use.tokens) == (0.25, 0.4, 1, 400)
    assert found.exceeded() is not None
    # One more of those 400 tokens, which are more of its limit than one of 8 requests.
    assert found.use("k").wanted == pytest.approx(0.8)


def test_where_nothing_was_let_in_a_refused_request_is_taken_to_want_a_token() -> None:
    found, _ = account(0.0, tokens_per_minute=1_000)
    assert found.exceeded() is not None
    assert found.use("k").wanted == pytest.approx(0.001)


@pytest.mark.parametrize("wrong", [0, -1, MOST + 1])
def test_a_limit_is_a_number_that_means_something(wrong: int) -> None:
    with pytest.raises(ValueError, match=f"concurrent is {wrong}: give 1 to"):
        Limits(concurrent=wrong)


def test_a_request_in_two_accounts_is_reserved_grown_and_settled_in_both() -> None:
    clock = Clock()
    own = Account(Limits(tokens_per_minute=10_000), 1.0, clock)
    tenants = Account(Limits(concurrent=2, tokens_per_minute=90_000), 1.0, clock, is_tenants=True)
    hold = Hold((own, tenants), 100, 400)
    hold.grow(700)
    assert (own.tokens.total, tenants.tokens.total) == (800, 800)
    hold.settle(300)
    assert (own.tokens.total, tenants.tokens.total) == (300, 300)
    assert (own.in_flight, tenants.in_flight) == (0, 0)


def test_what_a_tenant_refuses_is_reserved_nowhere() -> None:
    clock = Clock()
    own = Account(Limits(requests_per_minute=9), 1.0, clock)
    tenants = Account(Limits(concurrent=1), 1.0, clock, is_tenants=True)
    Hold((tenants,), 0, 0)
    exceeded = first_exceeded((own, tenants))
    assert exceeded == Exceeded(Limit.CONCURRENT, 1, 1.0, is_tenants=True)
    assert (own.in_flight, own.requests.total) == (0, 0)


def test_a_spent_budget_refuses_whatever_the_tokens_say() -> None:
    found, _ = account(tokens_per_month=10, nanos_per_month=1_000)
    found.month_nanos = 999
    assert found.exceeded() is None
    found.month_nanos = 1_000
    assert found.exceeded() == Exceeded(Limit.BUDGET, 1_000, 0.0)
