"""`flotilla top`: the fleet, live."""

import json
from contextlib import aclosing
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ops.top_view import View

PERIOD_S = 1.0
MIN_PERIOD_S = 0.2
MAX_PERIOD_S = 3600.0


@click.command()
@click.option(
    "--interval",
    "period_s",
    type=click.FloatRange(MIN_PERIOD_S, MAX_PERIOD_S),
    default=PERIOD_S,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each look as a line of JSON.")
def top(period_s: float, as_json: bool) -> None:
    """Watch nodes, models, replicas, requests and events until Ctrl-C."""
    import asyncio

    try:
        asyncio.run(_lines(period_s) if as_json else _screen(period_s))
    except KeyboardInterrupt:
        click.get_current_context().exit(0)


async def _lines(period_s: float) -> None:
    from ops.top_view import figures

    async with aclosing(_looks(period_s)) as looks:
        async for look in looks:
            click.echo(json.dumps(figures(look)))


async def _screen(period_s: float) -> None:
    from rich.console import Console
    from rich.live import Live

    from ops.top_view import top_view

    console = Console(highlight=False)
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        async with aclosing(_looks(period_s)) as looks:
            async for look in looks:
                live.update(top_view(look, console.height), refresh=True)


async def _looks(period_s: float) -> "AsyncGenerator[View]":
    """One after the other over the same two connections. Raises ServeError."""
    from ops.fleet_look import FleetLook

    async with FleetLook() as fleet:
        while True:
            yield await fleet.look()
            await _pause(period_s)


async def _pause(period_s: float) -> None:
    import asyncio

    await asyncio.sleep(period_s)
