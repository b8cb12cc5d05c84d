"""`flotilla ray`: Ray on the machine that the command runs on. What `ray up` and a node's service
call; by hand it starts one node anew.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cluster.node_ray import NodeRay

INVENTORY = click.argument(
    "path", metavar="INVENTORY", type=click.Path(path_type=Path, dir_okay=False)
)


@click.group()
def ray() -> None:
    """Start and stop Ray on this machine of an inventory."""


@ray.command()
@INVENTORY
@click.option(
    "--autoscaling-config", metavar="FILE", default="", help="What `ray up` hands to the head."
)
@click.option("--restart", is_flag=True, help="Stop one that runs first.")
@click.option("--block", is_flag=True, help="Stay in the foreground, for a service manager.")
def start(path: Path, autoscaling_config: str, restart: bool, block: bool) -> None:
    """Start Ray here, as INVENTORY says; one that runs already is left alone."""
    node = _here(path)
    config = str(Path(autoscaling_config).expanduser()) if autoscaling_config else ""
    if restart:
        node.stop()
    if block:
        node.become(config)
    started = node.start(config)
    click.echo(f"{node.machine.name}: Ray {'started' if started else 'runs already'}", err=True)


@ray.command()
@INVENTORY
def stop(path: Path) -> None:
    """Stop Ray here; nothing of it stays behind."""
    node = _here(path)
    stopped = node.stop()
    click.echo(f"{node.machine.name}: {'Ray stopped' if stopped else 'no Ray ran'}", err=True)


@ray.command()
@INVENTORY
def unit(path: Path) -> None:
    """Print a systemd unit that keeps Ray running on this machine."""
    import getpass

    from cluster.unit import NodeService, unit_text
    from ops.cluster_file import TREE

    node = _here(path)
    service = NodeService(
        getpass.getuser(), str(TREE), node.place.home, str(path.absolute()), node.roots()
    )
    click.echo(unit_text(service), nl=False)


@ray.command()
def drain() -> None:
    """Let what Serve runs here finish, then end Serve; on the head."""
    import asyncio

    from ops.local_fleet import shut_serve_down

    asyncio.run(shut_serve_down())


@ray.command()
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def nodes(as_json: bool) -> None:
    """List the nodes that Ray sees; on the head."""
    import asyncio
    import json
    from os import environ

    from cluster.ray_nodes import DEFAULT_URL, ray_nodes
    from deployments.ray_token import ray_token

    url = environ.get("RAY_DASHBOARD_ADDRESS", DEFAULT_URL)
    found = asyncio.run(ray_nodes(url, ray_token()))
    if as_json:
        click.echo(json.dumps([{"address": n.address, "alive": n.is_alive} for n in found]))
    else:
        for node in found:
            click.echo(f"{node.address}  {'alive' if node.is_alive else 'dead'}")


def _here(path: Path) -> "NodeRay":
    from cluster.node_ray import NodeRay
    from deployments.inventory_file import load_inventory
    from serving.keystore import home

    return NodeRay.here(load_inventory(path), home())
