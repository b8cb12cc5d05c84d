"""How a key stands, as OpenAI's headers say it. reference/errors.md. Pure.

Where its tenant is limited too, of each limit the tighter one is told.
"""

from collections.abc import Sequence
from math import ceil

from serving.limits.account import Account, Standing


def lines(accounts: Sequence[Account]) -> bytes:
    """Whole header lines, for every answer to a limited key."""
    requests = _tightest([account.requests_standing() for account in accounts])
    tokens = _tightest([account.tokens_standing() for account in accounts])
    found = b"" if requests is None else _three(b"requests", requests)
    return found if tokens is None else found + _three(b"tokens", tokens)


def _tightest(standings: list[Standing | None]) -> Standing | None:
    """With the least left; of two with none, the one that takes longer."""
    found = [standing for standing in standings if standing is not None]
    return min(found, key=lambda each: (each.remaining, -each.reset_s), default=None)


def _three(name: bytes, standing: Standing) -> bytes:
    return (
        b"x-ratelimit-limit-%b: %d\r\nx-ratelimit-remaining-%b: %d\r\nx-ratelimit-reset-%b: %b\r\n"
    ) % (
        name,
        standing.most,
        name,
        standing.remaining,
        name,
        duration(standing.reset_s).encode(),
    )


def duration(seconds: float) -> str:
    """As OpenAI writes it: `0s`, `120ms`, `59s`, `6m0s`."""
    if 0 < seconds < 1:
        return f"{ceil(seconds * 1000)}ms"
    minutes, rest = divmod(ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
