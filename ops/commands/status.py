"""`flotilla status`: what runs, as Serve and the Controller see it."""

import json

import click


@click.command()
@click.option("--why", "with_why", is_flag=True, help="Say why models have so many replicas.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def status(with_why: bool, as_json: bool) -> None:
    """Show models, replicas with their stages and load, and gateways."""
    import asyncio

    from ops.fleet_look import look_once
    from ops.fleet_status import scaling_lines, tables

    view = asyncio.run(look_once())
    if as_json:
        click.echo(json.dumps(view, indent=2))
        return
    from rich.console import Console

    console = Console(highlight=False)
    for table in tables(view):
        console.print(table)
    for line in scaling_lines(view) if with_why else ():
        click.echo(line)
    for note in view["notes"]:
        click.echo(note, err=True)
