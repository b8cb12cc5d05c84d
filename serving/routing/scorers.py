"""How good each replica is for a request, in (0, 1]; better is higher."""

from collections.abc import Iterable


def least_work(work_tokens: Iterable[float]) -> list[float]:
    """By the work that the choice costs."""
    return [1.0 / (1.0 + tokens) for tokens in work_tokens]
