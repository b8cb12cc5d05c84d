"""`flotilla render`: a fleet as the Serve config it stands for."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ops.commands.fleet_file import fleet_options, load_fleet

if TYPE_CHECKING:
    from serving.replica.spec import Device


@click.command()
@fleet_options
def render(path: Path, device: "Device | None") -> None:
    """Print FLEET as a Serve config, ready for `serve deploy`."""
    import yaml

    from deployments.render import render as render_fleet

    class Plain(yaml.SafeDumper):
        """Writes equal values out instead of pointing at the first."""

        def ignore_aliases(self, data: object) -> bool:
            return True

    config = render_fleet(load_fleet(path, device))
    click.echo(yaml.dump(config, Dumper=Plain, sort_keys=False), nl=False)
