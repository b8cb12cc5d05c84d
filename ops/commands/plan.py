"""`flotilla plan`: what a deploy would do, and what fits where. Changes nothing."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ops.commands.fleet_file import fleet_options, load_fleet

if TYPE_CHECKING:
    from serving.replica.spec import Device

#: Something is blocked.
EXIT_BLOCKED = 2


@click.command()
@fleet_options
@click.option("--explain", "model", metavar="MODEL", help="Show the arithmetic of one model.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def plan(
    path: Path,
    device: "Device | None",
    inventory_path: Path | None,
    model: str | None,
    as_json: bool,
) -> None:
    """Show what it takes to make FLEET run: what fits, what starts, stops and moves, and where.

    Works without a cluster and without GPUs. Ends with status 2 when something is blocked.
    """
    from deployments.load import placed
    from deployments.suggest import suggestions
    from ops import plan_view
    from ops.explain import explained
    from ops.planning import situation

    fleet = load_fleet(path, device)
    at, notes = situation(fleet, inventory_path)
    made = at.plan()
    hints = suggestions(at, made)
    asides = plan_view.Asides(tuple(placed(made.blocks(), path)), tuple(notes))
    if model is not None:
        _print(explained(at, made, hints, model))
    elif as_json:
        click.echo(json.dumps(plan_view.as_json(made, hints, asides), indent=2))
    else:
        _print(plan_view.view(fleet, made, hints, asides))
    if made.blocked:
        raise SystemExit(EXIT_BLOCKED)


def _print(shown: object) -> None:
    from rich.console import Console

    from ops.plan_view import FILE_COLUMNS

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=FILE_COLUMNS)
    console.print(shown)
