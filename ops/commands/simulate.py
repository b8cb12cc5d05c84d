"""`flotilla simulate`: what a fleet would do with a recorded load. Starts nothing."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ops.commands.fleet_file import fleet_options

if TYPE_CHECKING:
    from serving.replica.spec import Device

#: Of Mooncake's traces.
BLOCK_TOKENS = 512
MAX_NODES = 4096
FILE_COLUMNS = 180


@click.command()
@fleet_options
@click.option("--trace", "trace", metavar="FILE", required=True, type=click.Path(path_type=Path))
@click.option("--model", metavar="MODEL", help="Of the trace's requests that name none.")
@click.option("--nodes", type=click.IntRange(1, MAX_NODES), help="Instead of the inventory's.")
@click.option("--speed", type=click.FloatRange(0.001, 10000), default=1.0, help="Of the trace.")
@click.option("--repeat", type=click.IntRange(1, 10000), default=1, help="The trace so often.")
@click.option("--block-tokens", type=click.IntRange(1, 1 << 20), default=BLOCK_TOKENS)
@click.option("--event", "events", multiple=True, help="`600 node-3 leaves`, `900 load x2`.")
@click.option(
    "--calibration",
    "calibrations",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Made by `flotilla calibrate`.",
)
@click.option("--seed", type=click.IntRange(0, 2**32), default=0)
@click.option("--plots", metavar="DIR", type=click.Path(path_type=Path), help="Write pictures.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def simulate(  # noqa: PLR0913 - one for each option of the command line
    path: Path,
    device: "Device | None",
    inventory_path: Path | None,
    trace: Path,
    model: str | None,
    nodes: int | None,
    speed: float,
    repeat: int,
    block_tokens: int,
    events: tuple[str, ...],
    calibrations: tuple[Path, ...],
    seed: int,
    plots: Path | None,
    as_json: bool,
) -> None:
    """Play the trace in FILE on FLEET: its plan, autoscaling and routing, over simulated replicas.

    Needs neither a cluster nor GPUs. What replicas take is from a calibration where there is one,
    else an estimate; the report says which.
    """
    from rich.console import Console

    from deployments.load import load
    from ops import simulation_view
    from ops.simulation import Ground, Load, simulated
    from ops.simulation_plots import write_plots

    fleet = load(path, device)
    played = Load(trace, block_tokens, model, speed, repeat)
    ground = Ground(inventory_path, nodes, calibrations)
    found = simulated(fleet, played, ground, events, seed)
    if as_json:
        click.echo(json.dumps(simulation_view.as_json(found), indent=2))
    else:
        console = Console(highlight=False)
        width = None if console.is_terminal else FILE_COLUMNS
        Console(highlight=False, width=width).print(simulation_view.view(found))
    if plots is not None:
        for file in write_plots(found.report, plots):
            click.echo(f"wrote {file}", err=True)
