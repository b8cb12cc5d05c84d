"""`flotilla connect`: a working configuration for an editor, a chat page or a program."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ops.commands.endpoint_options import (
    chosen_address,
    chosen_key,
    endpoint_options,
    model_option,
)

if TYPE_CHECKING:
    from ops.onramp import Target

TOOLS = ("continue", "codegpt", "open-webui", "python", "node", "curl")


@click.command()
@click.argument("tool", type=click.Choice(TOOLS))
@endpoint_options
@model_option
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path), help="Not stdout.")
@click.option("--json", "as_json", is_flag=True, help="Print text and steps as JSON.")
def connect(  # noqa: PLR0913 - one for each option of the command line
    tool: str,
    url: str | None,
    key: str | None,
    model: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Print what TOOL needs to use the endpoint, made from the models that it has now."""
    import asyncio

    from ops.onramp import ON_RAMPS

    target = asyncio.run(_target(url, key, model))
    ramp = ON_RAMPS[tool]
    text = ramp.text(target)
    if output is not None:
        _write(output, text)
    if as_json:
        click.echo(json.dumps({"tool": tool, "text": text, "steps": ramp.steps}))
    elif output is None:
        click.echo(text, nl=False)
    if not as_json:
        click.echo(ramp.steps.replace("FILE", str(output or "FILE")), err=True)


async def _target(url: str | None, key: str | None, model: str | None) -> "Target":
    """Raises OpsError where the endpoint does not answer, or does not take the key."""
    import asyncio

    from ops.endpoint_client import EndpointClient
    from ops.onramp import Target

    address = await asyncio.to_thread(chosen_address, url)
    known = chosen_key(key)
    async with EndpointClient(address, known) as client:
        first = await client.resolved(model)
        names = await client.models()
    others = tuple(name for name in names if name != first)
    return Target(address.base_url, known, (first, *others))


def _write(path: Path, text: str) -> None:
    """For its owner alone; a file that is there stays. Raises FileNotWritten."""
    from ops.errors import FileNotWritten

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise FileNotWritten(path, "is there already: merge it by hand, or move it away") from None
    except OSError as error:
        raise FileNotWritten(path, (error.strerror or "cannot be written").lower()) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    click.echo(f"wrote {path}", err=True)
