"""`flotilla render-front-door`: the HAProxy config of the one public address of a fleet."""

from pathlib import Path

import click

from ops.commands.fleet_file import inventory_option, lines_of


@click.command()
@click.argument("path", metavar="FLEET", type=click.Path(path_type=Path))
@inventory_option
def render_front_door(path: Path, inventory_path: Path | None) -> None:
    """Print the HAProxy config of a machine in front of FLEET's gateways."""
    from deployments.front_door import render_front_door
    from deployments.load import load
    from ops.planning import named_inventory

    fleet = load(path)
    inventory = named_inventory(fleet, inventory_path)
    if inventory is None:
        raise click.UsageError("FLEET names no inventory: add --inventory FILE")
    with lines_of(path):
        text = render_front_door(fleet, inventory)
    click.echo(text, nl=False)
