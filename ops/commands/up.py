"""`flotilla up` and `flotilla down`: this machine as a cluster of one node, from nothing to a
proven completion; or the machines of an inventory as a cluster that fleets can be deployed on.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ops.commands.fleet_file import lines_of
from ops.listing import json_option, tell

if TYPE_CHECKING:
    from ops.endpoint import Endpoint

DEMO_FLEET = Path(__file__).parents[2] / "deployments" / "demo.yaml"
RAY_PORT_HELP = "With a fleet: first of three ports for Ray, where 6379, 8265 and 52365 are taken."
FIREWALL_HELP = (
    "With an inventory: let only its machines reach ports other than ssh's and the gateway's."
)
GATEWAY_PORT_HELP = "With an inventory: where clients will connect."
DEFAULT_GATEWAY_PORT = 8000


@click.command()
@click.argument(
    "path", metavar="[FLEET|INVENTORY]", type=click.Path(path_type=Path), default=DEMO_FLEET
)
@click.option("--ray-port", type=click.IntRange(1024, 65533), help=RAY_PORT_HELP)
@click.option("--firewall", is_flag=True, help=FIREWALL_HELP)
@click.option(
    "--gateway-port",
    type=click.IntRange(1, 65535),
    default=DEFAULT_GATEWAY_PORT,
    show_default=True,
    help=GATEWAY_PORT_HELP,
)
@json_option
def up(path: Path, ray_port: int | None, firewall: bool, gateway_port: int, as_json: bool) -> None:
    """Bring up a cluster.

    FLEET (the demo fleet without one): start Ray on this machine, deploy the fleet, prove it, print
    how to use it. INVENTORY: make its machines one Ray cluster, over ssh; a second run repairs what
    is not part of it and leaves the rest alone.
    """
    from deployments.lock import alone
    from ops.commands.cluster import up_cluster
    from ops.file_kind import is_inventory
    from ops.ledger_client import noted
    from ops.local_fleet import bring_up

    if is_inventory(path):
        if ray_port is not None:
            raise click.UsageError("--ray-port is for this machine alone: leave it out")
        up_cluster(path, gateway_port, fenced=firewall, as_json=as_json)
        return
    if firewall:
        raise click.UsageError("--firewall is for an inventory")
    with alone(), lines_of(path), noted("up", path) as note:
        endpoint = asyncio.run(bring_up(path, ray_port, note.steps))
    tell(_as_json(endpoint), _how_to_use(endpoint), as_json=as_json)


@click.command()
@click.argument("path", metavar="[INVENTORY]", type=click.Path(path_type=Path), required=False)
@json_option
def down(path: Path | None, as_json: bool) -> None:
    """Stop everything that `flotilla up` started, on this machine or on those of INVENTORY; nothing
    of it stays behind.
    """
    from deployments.lock import alone
    from ops.commands.cluster import down_cluster
    from ops.ledger_client import noted
    from ops.local_fleet import take_down

    if path is not None:
        down_cluster(path, as_json=as_json)
        return
    with alone(), noted("down", None) as note:
        stopped = asyncio.run(take_down())
        note.outcome = note.outcome if stopped else None
    plain = "stopped" if stopped else "nothing was running"
    tell({"stopped": stopped}, plain, as_json=as_json, to_stderr=True)


def _as_json(endpoint: "Endpoint") -> dict[str, str]:
    return {
        "base_url": endpoint.address.base_url,
        "key": endpoint.key,
        "model": endpoint.model,
        "said": endpoint.said,
    }


def _how_to_use(endpoint: "Endpoint") -> str:
    body = '{"model": "%s", "messages": [{"role": "user", "content": "%s"}]}'
    address = endpoint.address
    trust = "" if address.certificate is None else f"--cacert {address.certificate} "
    return "\n".join(
        [
            f"base URL  {address.base_url}",
            f"key       {endpoint.key}",
            f"model     {endpoint.model}",
            f"it said   {endpoint.said}",
            f"dashboard {endpoint.dashboard_url}",
            "",
            f"curl {trust}{address.base_url}/chat/completions \\",
            f"  -H 'Authorization: Bearer {endpoint.key}' -H 'Content-Type: application/json' \\",
            f"  -d '{body % (endpoint.model, 'What is a replica?')}'",
        ]
    )
