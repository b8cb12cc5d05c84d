"""`flotilla audit`: who did what to keys, tenants and the fleet."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from ops.listing import format_options, show
from ops.period import moment

_COLUMNS = ("at", "who", "act", "subject", "detail")


@click.command()
@click.option(
    "--last",
    "most",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="So many acts.",
)
@format_options
def audit(most: int, as_csv: bool, as_json: bool) -> None:
    """Show the newest administrative acts, newest first."""
    from deployments.ledger.questions import ListAudit
    from ops.ledger_client import answer

    rows = [
        {
            "at": moment(row.at_s),
            "who": row.who,
            "act": row.act,
            "subject": row.subject,
            "detail": row.detail if as_csv or as_json else _words(row.detail),
        }
        for row in answer(ListAudit(most))
    ]
    show(rows, _COLUMNS, as_csv=as_csv, as_json=as_json)


def _words(detail: str) -> str:
    """For people: what was given, without what was left as it is when nobody says."""
    return " ".join(_given(json.loads(detail)))


def _given(detail: Mapping[str, Any]) -> Iterator[str]:
    for name, value in detail.items():
        if isinstance(value, Mapping):
            yield from _given(value)
        elif not (value is None or value is False or value in ("", [])):
            yield f"{name}={','.join(map(str, value)) if isinstance(value, list) else value}"
