"""`flotilla models`: weights come from Hugging Face to the shared root, and from there to nodes."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ops.commands.fleet_file import inventory_option
from ops.listing import tell

if TYPE_CHECKING:
    from cluster.staging import Result, Target

EXIT_INTERRUPTED = 130
#: Of a table that goes into a file or a pipe.
FILE_COLUMNS = 160

_fleet = click.argument("path", metavar="FLEET", type=click.Path(path_type=Path))
_names = click.argument("names", metavar="[MODEL]...", nargs=-1)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
def models() -> None:
    """Bring weights to the disks that replicas load them from."""


@models.command()
@click.argument("asked", metavar="FLEET|MODEL...", nargs=-1, required=True)
@inventory_option
@click.option("--to", "to", metavar="DIR", type=click.Path(path_type=Path), help="Instead of the "
              "inventory's shared root.")  # fmt: skip
@_as_json
def pull(
    asked: tuple[str, ...], inventory_path: Path | None, to: Path | None, as_json: bool
) -> None:
    """Download checkpoints from Hugging Face to the shared root, where this machine has it mounted.

    MODEL is a model of the catalogue or a Hugging Face id. What is there is left as it is; what was
    broken off goes on. HF_TOKEN is needed here only, for repositories that ask for one.
    """
    from ops.commands.weight_bars import WeightBars
    from ops.pull import pull_all
    from ops.pull_list import pull_list

    wanted = pull_list(asked, inventory_path)
    with _interruptible(), WeightBars() as bars:
        results = pull_all(to or wanted.shared_root(), wanted.sources, bars.report)
    _tell(results, as_json=as_json)


@models.command()
@_fleet
@_names
@inventory_option
@click.option("--from", "origin", metavar="DIR", type=click.Path(path_type=Path), help="A root on "
              "this machine, for nodes that share none.")  # fmt: skip
@_as_json
def stage(
    path: Path,
    names: tuple[str, ...],
    inventory_path: Path | None,
    origin: Path | None,
    as_json: bool,
) -> None:
    """Copy the checkpoints of FLEET, or of some MODELs of it, to the nodes' own disks.

    All nodes at once, each from the shared root; every file is read back and has its digest.
    """
    import asyncio

    from ops.commands.weight_bars import WeightBars
    from ops.staging import stage_everywhere

    chosen = _targets(path, inventory_path, names)
    with _interruptible(), WeightBars() as bars:
        results = asyncio.run(stage_everywhere(chosen, origin, bars.report))
    _tell(results, as_json=as_json)


@models.command()
@_fleet
@_names
@inventory_option
@click.option("--sizes-only", is_flag=True, help="Do not read the files.")
@_as_json
def check(
    path: Path,
    names: tuple[str, ...],
    inventory_path: Path | None,
    sizes_only: bool,
    as_json: bool,
) -> None:
    """Look whether every node has the checkpoints of FLEET, whole and the same by digest.

    Ends with status 1 where one has not.
    """
    import asyncio

    from cluster.checking.check import State
    from ops.commands.weight_bars import WeightBars
    from ops.staging import check_everywhere
    from ops.weights_view import checks_as_json, checks_table

    chosen = _targets(path, inventory_path, names)
    with _interruptible(), WeightBars() as bars:
        checks = asyncio.run(check_everywhere(chosen, bars.report, is_full=not sizes_only))
    if as_json:
        click.echo(json.dumps(checks_as_json(checks), indent=2))
    else:
        _print(checks_table(checks))
    if any(check.state is State.FAIL for check in checks.values()):
        raise SystemExit(1)


@models.command()
@click.argument(
    "folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@_as_json
def seal(folders: tuple[Path, ...], as_json: bool) -> None:
    """Write the manifest of checkpoints of your own, which stand as ROOT/ORGANISATION/NAME.

    `pull` does it for what comes from Hugging Face; `stage` copies nothing without one.
    """
    from ops.seal import seal

    for folder in folders:
        manifest = seal(folder)
        count, size = len(manifest.files), manifest.size_bytes
        sealed = {"source": manifest.source, "files": count, "bytes": size}
        plain = f"{manifest.source}: {count} files, {size:,} bytes"
        tell(sealed, plain, as_json=as_json)


def _targets(path: Path, inventory_path: Path | None, names: Sequence[str]) -> "list[Target]":
    from deployments.load import load
    from ops.errors import WeightsFailed
    from ops.planning import named_inventory
    from ops.staging import targets

    fleet = load(path)
    inventory = named_inventory(fleet, inventory_path)
    if inventory is None:
        raise WeightsFailed("which nodes? Name them with `--inventory FILE`")
    return targets(fleet, inventory, names)


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo("flotilla: interrupted: what is done is kept, run it again to go on", err=True)
        raise SystemExit(EXIT_INTERRUPTED) from None


def _tell(results: "Sequence[Result]", *, as_json: bool) -> None:
    from ops.weights_view import as_json as values
    from ops.weights_view import failures, summary, table

    if as_json:
        click.echo(json.dumps(values(results), indent=2))
    else:
        _print(table(results))
        click.echo(summary(results))
    for line in failures(results):
        click.echo(f"flotilla: {line}", err=True)
    if failures(results):
        raise SystemExit(1)


def _print(shown: object) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=FILE_COLUMNS)
    console.print(shown)
