"""The FLEET argument and the --device option, which several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from deployments.fleet import Fleet
    from serving.replica.spec import Device

Command = Callable[..., None]


def fleet_options(command: Command) -> Command:
    """Adds FLEET and --device."""
    device = click.option(
        "--device", type=click.Choice(["cpu", "gpu"]), help="Instead of the fleet file's."
    )
    path = click.argument("path", metavar="FLEET", type=click.Path(path_type=Path))
    return path(device(command))


def load_fleet(path: Path, device: "Device | None") -> "Fleet":
    """The fleet, found right by our rules and by vLLM's own parser. Raises FleetInvalid."""
    from deployments.engine_check import engine_problems
    from deployments.errors import FleetInvalid
    from deployments.load import load, placed

    fleet = load(path, device)
    found = engine_problems(fleet)
    if found:
        raise FleetInvalid(placed(found, path))
    return fleet
