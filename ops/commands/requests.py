"""`flotilla requests`: what is in flight, one by one."""

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from serving.in_flight import InFlight, RequestInFlight

COLUMNS = ("for", "model", "answers", "at", "replica", "tokens", "tries", "tenant", "key", "id")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def requests(as_json: bool) -> None:
    """Show the requests in flight, oldest first: whose, at which replica, and how far.

    The hundred oldest of all gateways. `at` is `fit` (its tokens are counted), `wait` (for a
    replica to start), `queue` (for its turn), `prefill`, `stream`, or `compute` (a whole answer).
    """
    import asyncio

    told = asyncio.run(_look())
    if as_json:
        from dataclasses import asdict

        click.echo(json.dumps(asdict(told), indent=2))
        return
    from rich.console import Console

    Console(highlight=False).print(_table(told))
    for note in _notes(told):
        click.echo(note, err=True)


async def _look() -> "InFlight":
    """Raises ControllerMissing."""
    from ops.control_client import ControlClient
    from ops.in_flight_client import InFlightClient
    from serving.keystore import INTERNAL_TOKEN_FILE, home, secret_file

    async with ControlClient() as controller:
        gateways = (await controller.status())["gateways"]
    async with InFlightClient(secret_file(home() / INTERNAL_TOKEN_FILE)) as client:
        return await client.ask(gateways)


def _notes(told: "InFlight") -> list[str]:
    untold = [f"and {told.untold} more"] if told.untold else []
    silent = [f"{each} did not tell its requests in time" for each in told.silent]
    return [*untold, *silent] if told.total or silent else ["no request is in flight"]


def _table(told: "InFlight") -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for each in told.requests:
        table.add_row(*_cells(each))
    return table


def _cells(each: "RequestInFlight") -> "list[Text]":
    from rich.text import Text

    tokens = "" if each.tokens is None else str(each.tokens)
    answers = "" if each.model_answers == each.model_asked else each.model_answers
    said = (
        *(f"{each.age_s:.1f} s", each.model_asked, answers, each.phase, each.replica_id),
        *(tokens, str(each.attempts), each.tenant, each.key_id, each.id),
    )
    return [Text(cell) for cell in said]
