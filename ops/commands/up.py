"""`flotilla up` and `flotilla down`: this machine as a cluster of one node, from nothing to a
proven completion.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ops.commands.fleet_file import lines_of

if TYPE_CHECKING:
    from ops.endpoint import Endpoint

DEMO_FLEET = Path(__file__).parents[2] / "deployments" / "demo.yaml"
RAY_PORT_HELP = "First of three ports for Ray, where 6379, 8265 and 52365 are taken."


@click.command()
@click.argument("path", metavar="[FLEET]", type=click.Path(path_type=Path), default=DEMO_FLEET)
@click.option("--ray-port", type=click.IntRange(1024, 65533), help=RAY_PORT_HELP)
def up(path: Path, ray_port: int | None) -> None:
    """Start Ray on this machine, deploy FLEET (the demo fleet without one), prove it, print how to
    use it.
    """
    from ops.local_fleet import bring_up
    from ops.lock import alone

    with alone(), lines_of(path):
        endpoint = asyncio.run(bring_up(path, ray_port))
    click.echo(_how_to_use(endpoint))


@click.command()
def down() -> None:
    """Stop everything that `flotilla up` started on this machine; nothing of it stays behind."""
    from ops.local_fleet import take_down
    from ops.lock import alone

    with alone():
        stopped = asyncio.run(take_down())
    click.echo("stopped" if stopped else "nothing was running", err=True)


def _how_to_use(endpoint: "Endpoint") -> str:
    body = '{"model": "%s", "messages": [{"role": "user", "content": "%s"}]}'
    return "\n".join(
        [
            f"base URL  {endpoint.base_url}",
            f"key       {endpoint.key}",
            f"model     {endpoint.model}",
            f"it said   {endpoint.said}",
            "",
            f"curl {endpoint.base_url}/chat/completions \\",
            f"  -H 'Authorization: Bearer {endpoint.key}' -H 'Content-Type: application/json' \\",
            f"  -d '{body % (endpoint.model, 'What is a replica?')}'",
        ]
    )
