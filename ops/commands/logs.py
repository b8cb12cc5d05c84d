"""`flotilla logs`: what the replicas of a model say."""

import json
from typing import TYPE_CHECKING

import click

from ops.commands.completion import complete_model

if TYPE_CHECKING:
    from ops.model_logs import Line

DEFAULT_LINES = 100
MOST_LINES = 100_000


@click.command()
@click.argument("name", metavar="MODEL", shell_complete=complete_model)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option(
    "--lines",
    "most",
    type=click.IntRange(1, MOST_LINES),
    default=DEFAULT_LINES,
    show_default=True,
    help="So many of each file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each line as JSON.")
def logs(name: str, follow: bool, most: int, as_json: bool) -> None:
    """Show the logs of MODEL's replicas, wherever they run; starting ones too.

    MODEL may be a replica (`model.0`), or `flotilla` for the gateways and the Controller.
    """
    import asyncio

    try:
        asyncio.run(_show(name, most, follow=follow, as_json=as_json))
    except KeyboardInterrupt:
        click.get_current_context().exit(0)


async def _show(name: str, most: int, *, follow: bool, as_json: bool) -> None:
    from deployments.serve_control import ServeControl
    from ops.model_logs import lines_of, processes_of

    async with ServeControl() as control:
        processes = processes_of(name, await control.applications())
    async for line in lines_of(processes, most, follow=follow):
        click.echo(_shown(line, as_json))


def _shown(line: "Line", as_json: bool) -> str:
    from dataclasses import asdict

    if as_json:
        return json.dumps(asdict(line), ensure_ascii=False)
    text = "".join(char for char in click.unstyle(line.text) if char.isprintable() or char == "\t")
    return f"{line.application} | {text}"
