"""`flotilla render`: a fleet as the Serve config it stands for. With an inventory, or
beside the cluster that `flotilla up` started, every replica has its nodes, as on an empty cluster.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ops.commands.fleet_file import fleet_options, lines_of, load_fleet

if TYPE_CHECKING:
    from serving.replica.spec import Device


@click.command()
@fleet_options
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def render(path: Path, device: "Device | None", inventory_path: Path | None, as_json: bool) -> None:
    """Print FLEET as a Serve config, ready for `serve deploy`."""
    import yaml

    from deployments.render import render as render_fleet
    from ops.planning import deployed_inventory, planned

    class Plain(yaml.SafeDumper):
        """Writes equal values out instead of pointing at the first."""

        def ignore_aliases(self, data: object) -> bool:
            return True

    fleet = load_fleet(path, device)
    inventory = deployed_inventory(fleet, inventory_path)
    addresses: dict[str, tuple[str, ...]] | None = None
    if inventory is not None:
        made = planned(fleet, inventory, {})
        with lines_of(path):
            made.require_whole()
        addresses = made.addresses()
    config = render_fleet(fleet, addresses, inventory)
    if as_json:
        click.echo(json.dumps(config, indent=2))
    else:
        click.echo(yaml.dump(config, Dumper=Plain, sort_keys=False), nl=False)
