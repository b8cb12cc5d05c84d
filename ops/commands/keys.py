"""`flotilla keys`: the keys that clients send."""

import click

from serving.limits.terms import MOST, Limits


@click.group()
def keys() -> None:
    """Make and manage API keys."""


_AMOUNT = click.IntRange(1, MOST)


@keys.command()
@click.argument("name")
@click.option("--requests-per-minute", type=_AMOUNT, help="In any 60 seconds.")
@click.option("--tokens-per-minute", type=_AMOUNT, help="Prompt and answer, in any 60 seconds.")
@click.option("--concurrent", type=_AMOUNT, help="Requests under way at one time.")
@click.option("--tokens-per-month", type=_AMOUNT, help="Prompt and answer, by UTC's month.")
def create(name: str, **limits: int | None) -> None:
    """Make a key called NAME and print it: it is shown this once and stored nowhere.

    What is not limited here is not limited.
    """
    from ops.controller_client import call_controller

    click.echo(call_controller("create_key", name, Limits(**limits)))
