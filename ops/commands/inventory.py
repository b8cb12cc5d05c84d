"""`flotilla inventory`: makes an inventory file from what a cluster's owner was given. The file on
stdout, what its reader should know on stderr and as comments.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cluster.accelerator import KNOWN_MEMORY_GIB

if TYPE_CHECKING:
    from cluster.draft import Draft
    from cluster.ssh_inventory import Roles
    from ops.inventory_output import Output

Command = Callable[..., None]
#: Of every GPU node of a 1-Click Cluster.
ACCELERATORS_OF_A_NODE = 8


@click.group()
def inventory() -> None:
    """Make an inventory of a cluster's nodes."""


def _output_options(command: Command) -> Command:
    """Adds --output, --force and --json."""
    as_json = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
    force = click.option("--force", is_flag=True, help="Overwrite FILE.")
    path = click.Path(path_type=Path, dir_okay=False)
    output = click.option("--output", metavar="FILE", type=path, help="Write FILE instead.")
    return output(force(as_json(command)))


@inventory.command()
@click.argument("cluster_id")
@_output_options
def discover(cluster_id: str, output: Path | None, force: bool, as_json: bool) -> None:
    """Ask Lambda's Cloud API for the nodes of CLUSTER_ID.

    The key is read from LAMBDA_API_KEY. LAMBDA_API_URL is another address of the API.
    """
    import asyncio
    from os import environ

    from cluster.lambda_cloud import DEFAULT_URL, KEY_VARIABLE, URL_VARIABLE, LambdaCloud
    from cluster.lambda_instances import draft_of_instances
    from ops.inventory_output import Output

    to = Output(output, force=force, as_json=as_json)
    to.refuse_to_overwrite()
    if not cluster_id.strip():
        raise click.UsageError("CLUSTER_ID is empty")
    url = environ.get(URL_VARIABLE) or DEFAULT_URL
    cloud = LambdaCloud(environ.get(KEY_VARIABLE, "").strip(), url)
    draft = draft_of_instances(cluster_id, asyncio.run(cloud.instances(cluster_id)))
    _finish(draft, f"instances of {cluster_id}", "Lambda's Cloud API", to)


@inventory.command(name="import")
@click.option(
    "--ssh-config", "path", metavar="FILE", required=True, type=click.Path(path_type=Path)
)
@click.option("--accelerator", "kind", required=True, type=click.Choice(list(KNOWN_MEMORY_GIB)))
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=ACCELERATORS_OF_A_NODE,
    show_default=True,
    help="Accelerators of each node.",
)
@click.option("--head", metavar="NAME", help="The head, a host without accelerators.")
@click.option("--leave-out", metavar="NAME", multiple=True, help="A host that is no node.")
@click.option("--name", default="cluster", show_default=True, help="Of the inventory.")
@_output_options
def import_(  # noqa: PLR0913 - one for each option
    path: Path,
    kind: str,
    count: int,
    head: str | None,
    leave_out: tuple[str, ...],
    name: str,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Read the hosts of an OpenSSH client config.

    Every host with a HostName is a node with accelerators, except the head, those left out, and
    those that others are reached through.
    """
    from cluster.ssh_inventory import Roles
    from ops.inventory_output import Output

    to = Output(output, force=force, as_json=as_json)
    to.refuse_to_overwrite()
    draft = _read_ssh_config(path, Roles(name, kind, count, head, leave_out))
    _finish(draft, str(path), path.name, to)


def _read_ssh_config(path: Path, roles: "Roles") -> "Draft":
    from cluster.problem import Problem
    from cluster.ssh_config import read_hosts
    from cluster.ssh_inventory import draft_of_ssh, role_problems
    from cluster.ssh_lines import MAX_BYTES
    from deployments.errors import InventoryInvalid

    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise InventoryInvalid([Problem((), reason, str(path))]) from error
    hosts, wrong = read_hosts(raw, str(path))
    wrong = wrong or list(role_problems(hosts, roles, str(path)))
    if wrong:
        raise InventoryInvalid(wrong)
    return draft_of_ssh(hosts, roles)


def _finish(draft: "Draft", source: str, shown: str, to: "Output") -> None:
    from deployments.inventory_file import drafted

    found = drafted(draft, source)
    for note in draft.notes:
        click.echo(f"note: {note}", err=True)
    to.write(found, (f"Made from {shown}; yours to edit.", *draft.notes))
