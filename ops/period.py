"""Lengths of time and days as operators write them: `90s`, `30m`, `24h`, `7d`; `2026-11-27`."""

from datetime import UTC, date, datetime

import click

_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_MOST_S = 100 * 365 * 86_400


class Period(click.ParamType[int]):
    """A number and a unit, as whole seconds."""

    name = "period"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        if isinstance(value, int):
            return value
        number, unit = str(value)[:-1], str(value)[-1:]
        if not (number.isascii() and number.isdigit() and len(number) <= 10 and unit in _UNITS_S):
            self.fail(f"{value!r} is no length of time: write 90s, 30m, 24h or 7d", param, ctx)
        seconds = int(number) * _UNITS_S[unit]
        if seconds > _MOST_S:
            self.fail(f"{value!r} is longer than 100 years", param, ctx)
        return seconds


class Day(click.ParamType[str]):
    """A day in UTC, as text."""

    name = "day"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        try:
            return date.fromisoformat(str(value)).isoformat()
        except ValueError:
            self.fail(f"{value!r} is no day: write it as 2026-11-27", param, ctx)


def today() -> str:
    """In UTC."""
    return datetime.now(UTC).date().isoformat()


def first_of_month() -> str:
    """In UTC."""
    return datetime.now(UTC).date().replace(day=1).isoformat()


def moment(at_s: int | None) -> str:
    """In the reader's own time; nothing for None."""
    if at_s is None:
        return ""
    return f"{datetime.fromtimestamp(at_s, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
