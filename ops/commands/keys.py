"""`flotilla keys`: the keys that clients send."""

import click


@click.group()
def keys() -> None:
    """Make and manage API keys."""


@keys.command()
@click.argument("name")
def create(name: str) -> None:
    """Make a key called NAME and print it: it is shown this once and stored nowhere."""
    from ops.controller_client import call_controller

    click.echo(call_controller("create_key", name))
