"""How a key stands, as OpenAI's headers say it. reference/errors.md. Pure."""

from math import ceil

from serving.limits.account import Account, Standing


def lines(account: Account) -> bytes:
    """Whole header lines, for every answer to a limited key."""
    requests, tokens = account.requests_standing(), account.tokens_standing()
    found = b"" if requests is None else _three(b"requests", requests)
    return found if tokens is None else found + _three(b"tokens", tokens)


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
