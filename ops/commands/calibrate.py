"""`flotilla calibrate`: measures how long an engine takes for its work, for the simulator."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ops.commands.fleet_file import inventory_option

if TYPE_CHECKING:
    from deployments.calibration import Calibration, Spread
    from ops.calibration import Rounds, Subject

ROUNDS = 5
MAX_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class _Engine:
    """Where it listens."""

    url: str
    key: str | None


@click.command()
@click.argument("path", metavar="[FLEET]", required=False, type=click.Path(path_type=Path))
@inventory_option
@click.option("--model", metavar="MODEL", help="The fleet's model that the engine serves.")
@click.option("--url", metavar="URL", help="The engine's base URL; it ends in /v1.")
@click.option("--key", envvar="OPENAI_API_KEY", help="That the engine asks for.")
@click.option("--rounds", type=click.IntRange(1, MAX_ROUNDS), default=ROUNDS, show_default=True)
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path), help="Not stdout.")
def calibrate(  # noqa: PLR0913 - one for each option of the command line
    path: Path | None,
    inventory_path: Path | None,
    model: str | None,
    url: str | None,
    key: str | None,
    rounds: int,
    output: Path | None,
) -> None:
    """Measure an engine that has nothing else to do, and write its calibration.

    Without arguments it starts an engine of the demo model on this machine's CPU. With FLEET and
    --url it measures the engine there, which serves --model of FLEET.
    """
    from ops.calibration import Rounds

    if (path is None) != (url is None):
        raise click.UsageError("FLEET and --url go together; without both the demo is measured")
    how = Rounds(rounds, lambda line: click.echo(line, err=True))
    if path is None or url is None:
        found = _of_the_demo(how)
    else:
        subject = _subject(path, inventory_path, model, None)
        found = asyncio.run(_measured(_Engine(url, key), subject, how))
    _write(found, output)


def _of_the_demo(how: "Rounds") -> "Calibration":
    from deployments.calibration import Spread
    from ops.demo_engine import demo_engine

    click.echo("starting an engine of the demo model", err=True)
    with demo_engine() as (url, start_s):
        start = Spread(median=start_s, low=start_s, high=start_s)
        return asyncio.run(_measured(_Engine(url, None), demo_subject(start), how))


def demo_subject(start: "Spread") -> "Subject":
    """The demo model on this machine."""
    from ops.demo_engine import FLEET, MODEL

    return _subject(FLEET, None, MODEL, start)


def _subject(
    path: Path, inventory_path: Path | None, model: str | None, start: "Spread | None"
) -> "Subject":
    from cluster.shape import Shape
    from deployments.engine_batch import engine_batch
    from deployments.load import load
    from ops.calibration import Subject
    from ops.planning import measured_accelerator

    fleet = load(path)
    served = fleet.served()
    name = model or (next(iter(served)) if len(served) == 1 else "")
    if name not in served:
        raise click.UsageError(f"--model is one of {', '.join(served)}")
    accelerator = measured_accelerator(fleet, inventory_path)
    shape = Shape(served[name].tensor, served[name].pipeline)
    return Subject(
        model=name,
        accelerator=accelerator.kind,
        tensor=shape.tensor,
        pipeline=shape.pipeline,
        window_tokens=served[name].max_model_len,
        batch=engine_batch(served[name].engine, shape, accelerator),
        origin=_origin(),
        start=start,
    )


def _origin() -> str:
    import os
    import platform
    from datetime import UTC, datetime

    from deployments.engine_check import installed_vllm

    today = datetime.now(UTC).strftime("%Y-%m-%d")
    engine = installed_vllm() or "an engine elsewhere"
    return (
        f"{today}, {engine}, asked from a machine with {os.cpu_count()} {platform.machine()} cores"
    )


async def _measured(engine: _Engine, subject: "Subject", how: "Rounds") -> "Calibration":
    from ops.calibration import calibrated
    from ops.timed_engine import timed_engine

    async with timed_engine(engine.url, engine.key, subject.model) as timed:
        return await calibrated(timed, subject, how)


def _write(found: "Calibration", output: Path | None) -> None:
    from deployments.calibration_file import calibration_text
    from ops.errors import FileNotWritten

    text = calibration_text(found)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FileNotWritten(output, (error.strerror or "cannot be written").lower()) from error
    click.echo(f"wrote {output}", err=True)
