"""Figures as they are read: short, with their unit."""

from datetime import UTC, datetime

from cluster.accelerator import GIB

NONE = "-"


def seconds(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def share(value: float | None) -> str:
    return NONE if value is None else f"{value:.0%}"


def gib(value_bytes: int | None, digits: int = 1) -> str:
    """Without its unit, which follows."""
    return NONE if value_bytes is None else f"{value_bytes / GIB:.{digits}f}"


def celsius(value_c: int | None) -> str:
    return NONE if value_c is None else f"{value_c} °C"


def rate(value: float) -> str:
    return f"{value:.1f}" if 0 < value < 10 else f"{value:,.0f}"


def clock(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%H:%M:%S}"


def moment(at_s: float) -> str:
    """For machines and for the hint over a clock."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")
