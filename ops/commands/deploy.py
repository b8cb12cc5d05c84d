"""`flotilla deploy`: makes a fleet run, one application at a time. Progress on stderr, the result
on stdout.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ops.commands.fleet_file import fleet_options, load_fleet

if TYPE_CHECKING:
    from deployments.steps import Step
    from serving.replica.spec import Device


@click.command()
@fleet_options
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=1), help="Seconds for each step.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def deploy(path: Path, device: "Device | None", timeout_s: float | None, as_json: bool) -> None:
    """Make FLEET run: one replica at a time, each waited for; a step that fails is taken back."""
    import asyncio

    from deployments.errors import StepFailed
    from deployments.render import render
    from ops.lock import alone

    desired = render(load_fleet(path, device))
    try:
        with alone():
            taken = asyncio.run(_deploy(desired, timeout_s))
    except StepFailed as failure:
        if as_json:
            click.echo(json.dumps(_failed(failure)))
        raise
    if as_json:
        click.echo(json.dumps({"result": "done", "steps": [_step(step) for step in taken]}))
    elif not taken:
        click.echo("nothing to do: the fleet runs as it should", err=True)


async def _deploy(desired: dict[str, Any], timeout_s: float | None) -> "list[Step]":
    from deployments.apply import DEFAULT_TIMEOUT_S, apply
    from deployments.serve_control import ServeControl
    from ops.commands.progress import StepLines

    with StepLines() as lines:
        async with ServeControl() as control:
            timeout_s = timeout_s or DEFAULT_TIMEOUT_S
            return await apply(control, desired, lines.report, timeout_s=timeout_s)


def _step(step: "Step") -> dict[str, str]:
    return {"action": step.action.value, "application": step.application}


def _failed(failure: Any) -> dict[str, Any]:
    return {
        "result": "failed",
        "application": failure.application,
        "cause": failure.cause,
        "rolled_back": failure.is_rolled_back,
    }
