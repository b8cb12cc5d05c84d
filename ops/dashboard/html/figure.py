"""Figures as they are read: short, with their unit."""

from datetime import UTC, datetime

NONE = "-"


def seconds(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def share(value: float) -> str:
    return f"{value:.0%}"


def rate(value: float) -> str:
    return f"{value:.1f}" if 0 < value < 10 else f"{value:,.0f}"


def clock(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%H:%M:%S}"


def moment(at_s: float) -> str:
    """For machines and for the hint over a clock."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")
