"""`flotilla bench`: load on a running endpoint; `flotilla bench overhead`: what a gateway adds."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ops.commands.endpoint_options import (
    chosen_address,
    chosen_key,
    endpoint_options,
    model_option,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ops.endpoint import Address
    from ops.endpoint_client import EndpointClient
    from ops.fleet_bench.load import Load
    from ops.fleet_bench.point import Point

T = TypeVar("T")

DEFAULT_CLIENTS = "1,4,16"
MOST_CLIENTS = 4096
DEFAULT_REQUESTS = 200
MOST_REQUESTS = 10_000
#: Of Mooncake's traces.
BLOCK_TOKENS = 512
#: Of a table that goes into a file or a pipe.
FILE_COLUMNS = 132


class Clients(click.ParamType[tuple[int, ...]]):
    """`1,4,16`."""

    name = "numbers"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            found = tuple(int(each) for each in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no list like {DEFAULT_CLIENTS}", param, ctx)
        if not all(1 <= each <= MOST_CLIENTS for each in found) or len(set(found)) != len(found):
            self.fail(f"{value!r}: each once, from 1 to {MOST_CLIENTS:,}", param, ctx)
        return found


@click.group(invoke_without_command=True)
@endpoint_options
@model_option
@click.option(
    "--clients",
    type=Clients(),
    default=DEFAULT_CLIENTS,
    show_default=True,
    help="How many ask at once, point by point.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1, 10_000),
    default=8,
    show_default=True,
    help="Requests of each client.",
)
@click.option("--prompt-words", type=click.IntRange(1, 100_000), default=200, show_default=True)
@click.option("--answer-tokens", type=click.IntRange(2, 100_000), default=64, show_default=True)
@click.option("--save", metavar="FILE", type=click.Path(path_type=Path), help="Keep the result.")
@click.option(
    "--baseline",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Status 1 where something is worse than in this one.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 10),
    default=0.1,
    show_default=True,
    help="Share by which a figure may be worse.",
)
@click.option("--plot", metavar="FILE", type=click.Path(path_type=Path), help="Write a picture.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def bench(  # noqa: PLR0913 - one for each option of the command line
    ctx: click.Context,
    url: str | None,
    key: str | None,
    model: str | None,
    clients: tuple[int, ...],
    rounds: int,
    prompt_words: int,
    answer_tokens: int,
    save: Path | None,
    baseline: Path | None,
    tolerance: float,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Measure throughput and latency of a running endpoint, with more and more clients.

    Drives it with `vllm bench serve`, a run for each number of clients.
    """
    if ctx.invoked_subcommand is not None:
        return
    from rich.console import Console

    from ops.fleet_bench import run as runs
    from ops.fleet_bench.load import Load

    address, known = chosen_address(url), chosen_key(key)
    load = Load(_model(address, known, model), prompt_words, answer_tokens, rounds)
    before = () if baseline is None else runs.read_baseline(baseline, load)
    found = runs.Run(load, tuple(_points(address, known, load, clients)))
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
    else:
        width = None if Console().is_terminal else FILE_COLUMNS
        Console(highlight=False, width=width).print(runs.table(found.points))
    if save is not None:
        runs.save(found, save)
    if plot is not None:
        runs.plot(found, plot)
    _judge(before, found.points, tolerance)


def _model(address: "Address", key: str, model: str | None) -> str:
    return _asked(address, key, lambda client: client.resolved(model))


def _asked(address: "Address", key: str, ask: "Callable[[EndpointClient], Awaitable[T]]") -> "T":
    """One question to the endpoint."""
    import asyncio

    from ops.endpoint_client import EndpointClient

    async def answer() -> "T":
        async with EndpointClient(address, key) as client:
            return await ask(client)

    return asyncio.run(answer())


def _points(address: "Address", key: str, load: "Load", clients: tuple[int, ...]) -> "list[Point]":
    from rich.console import Console

    from ops.fleet_bench.tool import load_tool

    tool, points, asked = load_tool(address, key), [], 0
    with Console(stderr=True).status("") as moving:
        for number, each in enumerate(clients, start=1):
            moving.update(
                f"[{number}/{len(clients)}] {each} clients, {each * load.rounds} requests"
            )
            points.append(tool.measure(load, each, asked))
            asked += each * load.rounds
    return points


def _judge(before: "tuple[Point, ...]", now: "tuple[Point, ...]", tolerance: float) -> None:
    """Ends with status 1 where something is worse, or not whole."""
    from ops.fleet_bench.baseline import regressions

    found = list(regressions(before, now, tolerance))
    for each in found:
        click.echo(f"flotilla: {each}", err=True)
    if found:
        click.get_current_context().exit(1)


@bench.command()
@endpoint_options
@model_option
@click.option(
    "--requests",
    type=click.IntRange(1, 100_000),
    default=DEFAULT_REQUESTS,
    show_default=True,
    help="By each way.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the times as JSON.")
def overhead(
    url: str | None, key: str | None, model: str | None, requests: int, as_json: bool
) -> None:
    """Compare the time to first token through a gateway with that of the replica itself.

    On the head of the cluster, with nothing else to do: both ways take turns.
    """
    import asyncio

    from rich.console import Console

    from ops.bench.overhead import compare, ways

    address, known = chosen_address(url), chosen_key(key)
    both = ways(address, known, _model(address, known, model))
    with Console(stderr=True).status(f"{requests} requests by each way"):
        taken = asyncio.run(compare(both, requests))
    rows = [_row(name, share, taken) for name, share in (("p50", 0.5), ("p99", 0.99))]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        figures = f"gateway {row['gateway_ms']:.2f} ms  direct {row['direct_ms']:.2f} ms"
        click.echo(f"{row['share']}  {figures}  added {row['added_ms']:+.2f} ms")


def _row(name: str, share: float, taken: dict[str, list[float]]) -> dict[str, Any]:
    from ops.bench.stats import percentile

    through_ms, straight_ms = (
        percentile(taken[way], share) * 1_000 for way in ("gateway", "direct")
    )
    return {
        "share": name,
        "gateway_ms": through_ms,
        "direct_ms": straight_ms,
        "added_ms": through_ms - straight_ms,
    }


@bench.command(name="trace")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@endpoint_options
@click.option("--model", metavar="NAME", help="Of the trace's requests that name none.")
@click.option(
    "--requests",
    type=click.IntRange(1, MOST_REQUESTS),
    default=DEFAULT_REQUESTS,
    show_default=True,
    help="The first so many.",
)
@click.option("--speed", type=click.FloatRange(0.001, 10000), default=1.0, help="Of the trace.")
@click.option("--block-tokens", type=click.IntRange(1, 1 << 20), default=BLOCK_TOKENS)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def play_trace(  # noqa: PLR0913 - one for each option of the command line
    path: Path,
    url: str | None,
    key: str | None,
    model: str | None,
    requests: int,
    speed: float,
    block_tokens: int,
    as_json: bool,
) -> None:
    """Play the trace in FILE: each request when it was due, with the prefixes that it shares.

    The format is that of `flotilla simulate`. Status 1 where a reply was not whole.
    """
    import asyncio
    from dataclasses import replace

    from rich.console import Console

    from deployments.simulation.trace import Names
    from deployments.trace_file import load_trace
    from ops.fleet_bench.replay import play

    address, known = chosen_address(url), chosen_key(key)
    listed = _asked(address, known, lambda client: client.models())
    names = {name: name for name in listed}
    default = None if model is None else _model(address, known, model)
    trace = load_trace(path, Names(names, default), block_tokens)
    trace = replace(trace, arrivals=trace.arrivals[:requests])
    with Console(stderr=True).status(f"{len(trace.arrivals)} requests"):
        found = asyncio.run(play(address, known, trace, speed))
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
    else:
        for name, value in found.as_json().items():
            if name != "failed":
                shown = f"{value:,.3f}" if isinstance(value, float) else f"{value:,}"
                click.echo(f"{name.replace('_', ' '):20} {shown}")
    for reason, count in found.failed.items():
        click.echo(f"flotilla: {count} failed: {reason}", err=True)
    if found.failed:
        click.get_current_context().exit(1)
