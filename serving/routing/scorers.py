"""How good each replica is for a request, in (0, 1]; better is higher."""

from collections.abc import Iterable


def shortest(work_tokens: Iterable[float]) -> list[float]:
    """By the work between this request and its first token: what is ahead of it, and its own."""
    return [1.0 / (1.0 + tokens) for tokens in work_tokens]
