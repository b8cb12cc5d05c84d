"""OpenAI's headers, byte by byte."""

import pytest

from serving.limits.account import Account, Hold
from serving.limits.headers import duration, lines
from serving.limits.terms import Limits
from tests.serving.limits.clock import Clock


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0, "0s"), (0.0001, "1ms"), (0.12, "120ms"), (1.0, "1s"), (59.2, "1m0s"), (360.0, "6m0s")],
)
def test_a_duration_is_written_as_openai_does(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_each_limit_of_a_minute_has_its_three_lines_and_others_have_none() -> None:
    limits = Limits(requests_per_minute=5, tokens_per_minute=100, concurrent=1, tokens_per_month=1)
    account = Account(limits, 1.0, Clock())
    Hold((account,), 30, 10)
    assert lines([account]) == (
        b"x-ratelimit-limit-requests: 5\r\nx-ratelimit-remaining-requests: 4\r\n"
        b"x-ratelimit-reset-requests: 1m1s\r\n"
        b"x-ratelimit-limit-tokens: 100\r\nx-ratelimit-remaining-tokens: 60\r\n"
        b"x-ratelimit-reset-tokens: 1m1s\r\n"
    )
    assert lines([Account(Limits(concurrent=1), 1.0, Clock())]) == b""


def test_of_a_key_and_its_tenant_the_tighter_limit_is_told() -> None:
    clock = Clock()
    own = Account(Limits(requests_per_minute=5, tokens_per_minute=900), 1.0, clock)
    tenants = Account(Limits(requests_per_minute=9), 1.0, clock, is_tenants=True)
    Hold((own, tenants), 0, 0)
    assert b"limit-requests: 5\r\nx-ratelimit-remaining-requests: 4\r\n" in lines([own, tenants])
    for _ in range(7):
        Hold((tenants,), 0, 0)
    told = lines([own, tenants])
    assert b"limit-requests: 9\r\nx-ratelimit-remaining-requests: 1\r\n" in told
    assert b"limit-tokens: 900\r\n" in told
    assert told.count(b"\r\n") == 6
