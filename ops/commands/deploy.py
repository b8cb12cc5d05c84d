"""`flotilla deploy`: makes a fleet run, one application at a time. Progress on stderr, the result
on stdout.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ops.commands.fleet_file import fleet_options, lines_of, load_fleet

if TYPE_CHECKING:
    from cluster.inventory import Inventory
    from deployments.fleet import Fleet
    from deployments.steps import Step
    from serving.replica.spec import Device


@click.command()
@fleet_options
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=1), help="Seconds for each step.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def deploy(
    path: Path,
    device: "Device | None",
    inventory_path: Path | None,
    timeout_s: float | None,
    as_json: bool,
) -> None:
    """Make FLEET run: one replica at a time, each waited for; a step that fails is taken back."""
    import asyncio

    from deployments.errors import StepFailed
    from deployments.lock import alone
    from ops.ledger_client import noted
    from ops.planning import NOTHING_TO_DO, deployed_inventory

    fleet = load_fleet(path, device)
    inventory = deployed_inventory(fleet, inventory_path)
    try:
        with alone(), lines_of(path), noted("deploy", path) as note:
            taken = asyncio.run(_deploy(fleet, inventory, timeout_s, note.steps))
    except StepFailed as failure:
        if as_json:
            click.echo(json.dumps(_failed(failure)))
        raise
    if as_json:
        click.echo(json.dumps({"result": "done", "steps": [_step(step) for step in taken]}))
    elif not taken:
        click.echo(NOTHING_TO_DO, err=True)


async def _deploy(
    fleet: "Fleet", inventory: "Inventory | None", timeout_s: float | None, taken: list[str]
) -> "list[Step]":
    from deployments.apply import DEFAULT_TIMEOUT_S, Patience
    from deployments.serve_control import ServeControl
    from ops.commands.progress import StepLines
    from ops.planning import make_run

    patience = Patience(timeout_s or DEFAULT_TIMEOUT_S)
    with StepLines(taken) as lines:
        async with ServeControl() as control:
            return await make_run(control, fleet, inventory, lines.report, patience)


def _step(step: "Step") -> dict[str, str]:
    return {"action": step.action.value, "application": step.application}


def _failed(failure: Any) -> dict[str, Any]:
    return {
        "result": "failed",
        "application": failure.application,
        "cause": failure.cause,
        "rolled_back": failure.is_rolled_back,
    }
