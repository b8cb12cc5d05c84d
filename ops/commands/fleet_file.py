"""The FLEET argument, --device and --inventory, which several commands share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from deployments.fleet import Fleet
    from serving.replica.spec import Device

Command = Callable[..., None]


def fleet_options(command: Command) -> Command:
    """Adds FLEET, --device and --inventory."""
    device = click.option(
        "--device", type=click.Choice(["cpu", "gpu"]), help="Instead of the fleet file's."
    )
    path = click.argument("path", metavar="FLEET", type=click.Path(path_type=Path))
    return path(device(inventory_option(command)))


inventory_option = click.option(
    "--inventory",
    "inventory_path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The cluster's nodes, instead of the fleet file's `inventory`.",
)


@contextmanager
def lines_of(path: Path) -> Iterator[None]:
    """Gives what turns out to be blocked its place in the fleet file."""
    from deployments.errors import FleetBlocked
    from deployments.load import placed

    try:
        yield
    except FleetBlocked as blocked:
        raise FleetBlocked(placed(blocked.problems, path)) from None


def load_fleet(path: Path, device: "Device | None") -> "Fleet":
    """The fleet, found right by our rules and by vLLM's own parser. Raises FleetInvalid."""
    from rich.console import Console

    from deployments.engine_check import engine_problems
    from deployments.errors import FleetInvalid
    from deployments.load import load, placed

    fleet = load(path, device)
    with Console(stderr=True).status("asking vLLM about the engine settings"):
        found = engine_problems(fleet)
    if found:
        raise FleetInvalid(placed(found, path))
    return fleet
