"""`flotilla doctor`: looks at every machine of an inventory, or at this one. Changes nothing."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cluster.preflight import Report

#: Of a table that goes into a file or a pipe.
FILE_COLUMNS = 132


@click.command()
@click.argument(
    "path",
    metavar="[INVENTORY]",
    required=False,
    type=click.Path(path_type=Path, dir_okay=False),
)
@click.option(
    "--fleet",
    "fleet_path",
    metavar="FLEET",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Look for the checkpoints of FLEET on the nodes, and for its gateway's port.",
)
@click.option("--no-bandwidth", is_flag=True, help="Send no data between the machines.")
@click.option("--json", "as_json", is_flag=True, help="Print every check as JSON.")
def doctor(path: Path | None, fleet_path: Path | None, no_bandwidth: bool, as_json: bool) -> None:
    """Check every machine of INVENTORY over ssh, or this one without an inventory.

    Ends with status 1 when a check has failed; each says how to mend it.
    """
    from rich.console import Console

    from ops import doctor_view

    if path is None and fleet_path is not None:
        raise click.UsageError("--fleet needs an INVENTORY")
    name, reports = (
        _here() if path is None else _there(path, fleet_path, bandwidth=not no_bandwidth)
    )
    if as_json:
        click.echo(json.dumps(doctor_view.as_json(name, reports), indent=2))
    else:
        console = Console(highlight=False, width=None if sys.stdout.isatty() else FILE_COLUMNS)
        # What is wrong stays on one line, however narrow the terminal is.
        console.print(doctor_view.view(reports), soft_wrap=True)
    if any(report.failed for report in reports):
        raise SystemExit(1)


def _there(
    path: Path, fleet_path: Path | None, *, bandwidth: bool
) -> "tuple[str, tuple[Report, ...]]":
    import asyncio

    from rich.console import Console

    from cluster.bandwidth import with_bandwidth
    from cluster.examination import examine
    from cluster.model_copies import with_models
    from deployments.fleet import DEFAULT_PORT
    from deployments.inventory_file import load_inventory
    from deployments.load import load
    from deployments.model import Served

    inventory = load_inventory(path)
    fleet = load(fleet_path) if fleet_path else None
    served = [each for each in fleet.models.values() if isinstance(each, Served)] if fleet else []
    # What is named by its path is not staged.
    sources = sorted({each.source for each in served if not each.source.startswith("/")})

    async def reports() -> "tuple[Report, ...]":
        found = await examine(inventory, fleet.gateway.port if fleet else DEFAULT_PORT)
        found = await with_models(inventory, found, sources) if sources else found
        return await with_bandwidth(inventory, found) if bandwidth else found

    with Console(stderr=True).status("asking all machines"):
        return inventory.name, asyncio.run(reports())


def _here() -> "tuple[str, tuple[Report, ...]]":
    import asyncio
    import shutil

    from cluster.examination import Here, examine_here
    from cluster.this_machine import inventory_of_this_machine
    from deployments.fleet import DEFAULT_PORT
    from serving.keystore import home

    inventory = inventory_of_this_machine("gpu" if shutil.which("nvidia-smi") else "cpu")
    here = Here(sys.prefix, str(home()))
    return inventory.name, asyncio.run(examine_here(inventory, DEFAULT_PORT, here))
