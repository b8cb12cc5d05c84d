"""`flotilla completion`: what a shell needs to complete commands, options and models."""

from contextlib import suppress
from typing import Any

import click
from click.shell_completion import get_completion_class

PROGRAM = "flotilla"
VARIABLE = "_FLOTILLA_COMPLETE"
WHERE = {
    "bash": 'eval "$(flotilla completion bash)"  # into ~/.bashrc',
    "zsh": 'eval "$(flotilla completion zsh)"  # into ~/.zshrc',
    "fish": "flotilla completion fish > ~/.config/fish/completions/flotilla.fish",
}


@click.command(epilog="\b\n" + "\n".join(WHERE.values()))
@click.argument("shell", type=click.Choice(list(WHERE)))
def completion(shell: str) -> None:
    """Print the completion script of SHELL."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    root = click.get_current_context().find_root().command
    click.echo(kind(root, {}, PROGRAM, VARIABLE).source())


def complete_model(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The models of the cluster of this machine; none where nothing answers."""
    import asyncio

    from deployments.errors import DeploymentError
    from ops.fleet_look import look_once
    from ops.local_cluster import adopt_local_cluster

    view: dict[str, Any] = {"models": []}
    adopt_local_cluster()
    with suppress(DeploymentError):
        view = asyncio.run(look_once())
    return [each["name"] for each in view["models"] if each["name"].startswith(incomplete)]
