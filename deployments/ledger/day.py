"""Days, as the ledger writes them. Pure."""

from datetime import UTC, datetime


def day_of(at_s: float) -> str:
    """In UTC; seconds since 1970."""
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d}"
