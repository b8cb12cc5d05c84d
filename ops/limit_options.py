"""Limits as operators write and read them: the same options for keys and for tenants."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from serving import money
from serving.limits.terms import MOST, Limits

Command = Callable[..., None]

#: How a limit that is there is taken away.
LIFTED = "none"
_MOST_BUDGET = money.MOST_NANOS // money.UNIT_NANOS


class _Amount(click.ParamType[int | str]):
    """A number from 1; `none` where a limit can be lifted."""

    name = "amount"

    def __init__(self, can_lift: bool) -> None:
        self._can_lift = can_lift

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        text = str(value)
        if self._can_lift and text == LIFTED:
            return LIFTED
        amount = self._read(text)
        if amount is None:
            lifts = ", or none to lift it" if self._can_lift else ""
            self.fail(f"{text!r} is no such amount: give {self._expected()}{lifts}", param, ctx)
        return amount

    def _read(self, text: str) -> int | None:
        is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MOST))
        return int(text) if is_number and 1 <= int(text) <= MOST else None

    def _expected(self) -> str:
        return f"1 to {MOST}"


class _Money(_Amount):
    """As nanos."""

    name = "money"

    def _read(self, text: str) -> int | None:
        return money.nanos_of(text, _MOST_BUDGET) or None

    def _expected(self) -> str:
        return f"more than 0, to {_MOST_BUDGET}, such as 12.50"


def limit_options(*, can_lift: bool) -> Callable[[Command], Command]:
    """Adds an option for each limit; the command gets them by the names of `Limits`."""
    amount, nanos = _Amount(can_lift), _Money(can_lift)
    options = (
        click.option("--requests-per-minute", type=amount, metavar="N"),
        click.option("--tokens-per-minute", type=amount, metavar="N", help="Prompt and answer."),
        click.option("--concurrent", type=amount, metavar="N", help="Requests at one time."),
        click.option("--tokens-per-month", type=amount, metavar="N", help="A month in UTC."),
        click.option(
            "--budget-per-month",
            "nanos_per_month",
            type=nanos,
            metavar="MONEY",
            help="Of models with a price.",
        ),
    )

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def changes(given: Mapping[str, Any]) -> dict[str, int | None]:
    """What an act changes: None lifts a limit; what was not given is not there."""
    return {
        name: None if value == LIFTED else value
        for name, value in given.items()
        if value is not None
    }


def limit_words(limits: Limits) -> list[str]:
    """`requests_per_minute=60`, one for each limit there is."""
    return [
        f"budget_per_month={money.shown(value)}" if name == "nanos_per_month" else f"{name}={value}"
        for name, value in limits.given.items()
    ]
