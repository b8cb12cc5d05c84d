"""`flotilla status`: what runs, as Serve and the Controller see it."""

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from deployments.serve_control import Application


@click.command()
@click.option("--why", "with_why", is_flag=True, help="Say why models have so many replicas.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def status(with_why: bool, as_json: bool) -> None:
    """Show models, replicas with their stages and load, and gateways."""
    import asyncio

    from ops.fleet_status import fleet_status, scaling_lines, tables

    applications = asyncio.run(_applications())
    view = fleet_status(applications, _controller())
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


async def _applications() -> "dict[str, Application]":
    from deployments.serve_control import ServeControl

    async with ServeControl() as control:
        return await control.applications()


def _controller() -> dict[str, Any] | str:
    """The Controller's status, or why there is none."""
    from ops.controller_client import call_controller
    from ops.errors import OpsError

    try:
        answer: dict[str, Any] = call_controller("status")
    except OpsError as error:
        return str(error)
    return answer
