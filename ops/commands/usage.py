"""`flotilla usage`: what was used, by day, tenant, key and model, and whether it agrees with what
engines counted.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ops.listing import format_options, show
from ops.period import Day, first_of_month, today
from serving import money

if TYPE_CHECKING:
    from deployments.ledger.questions import UsageRow

_SUMS = ("requests", "prompt_tokens", "cached_tokens", "completion_tokens", "accelerator_s")


@click.command()
@click.option("--since", type=Day(), metavar="DAY", help="First day, UTC; the month's if left out.")
@click.option("--until", type=Day(), metavar="DAY", help="Last day, UTC; today if left out.")
@click.option(
    "--by",
    multiple=True,
    type=click.Choice(["day", "tenant", "key", "model"]),
    default=("day", "model"),
    show_default=True,
    help="Sum by this; repeat it.",
)
@click.option("--tenant", help="Of this tenant only.")
@click.option("--key", "key_id", help="Of the key with this id only.")
@click.option("--model", help="Of this model only.")
@click.option("--reconcile", "reconciles", is_flag=True, help="Hold it against engines' counts.")
@format_options
def usage(  # noqa: PLR0913 - what an operator asks, by name
    since: str | None,
    until: str | None,
    by: tuple[str, ...],
    tenant: str | None,
    key_id: str | None,
    model: str | None,
    reconciles: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Show how much was used."""
    from deployments.ledger.questions import SumUsage
    from ops.ledger_client import answer

    first, last = since or first_of_month(), until or today()
    if first > last:
        raise click.UsageError(f"--since {first} is after --until {last}")
    if reconciles:
        _reconcile(first, last, as_csv=as_csv, as_json=as_json)
        return
    columns = tuple(dict.fromkeys(by))
    rows = answer(SumUsage(first, last, columns, tenant, key_id, model))
    shown = [_shown(row, columns) for row in rows]
    # For people only where anything has a price; programs find the same columns every day.
    is_priced = as_csv or as_json or any(row.cost_nanos for row in rows)
    names = (*columns, *_SUMS, *(("cost",) if is_priced else ()))
    show(shown, names, as_csv=as_csv, as_json=as_json)


def _shown(row: "UsageRow", columns: tuple[str, ...]) -> dict[str, Any]:
    sums = {name: getattr(row, name) for name in _SUMS}
    by = dict(zip(columns, row.by, strict=True))
    return {**by, **sums, "cost": money.shown(row.cost_nanos)}


def _reconcile(first: str, last: str, *, as_csv: bool, as_json: bool) -> None:
    """Ends with status 1 where something does not agree."""
    from deployments.ledger.questions import Reconcile
    from ops.ledger_client import answer

    found = answer(Reconcile(first, last))
    row = asdict(found)
    show([row], tuple(row), as_csv=as_csv, as_json=as_json)
    if not found.agrees:
        click.echo("flotilla: the ledger and the engines' counts do not agree", err=True)
        click.get_current_context().exit(1)
