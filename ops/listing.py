"""Rows for an operator: a table on a terminal, CSV or JSON for programs."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

Row = Mapping[str, Any]
Command = Callable[..., None]
#: Between columns.
_GAP = 2
#: A cell of so many characters stays on one line: a time, who did it.
_SHORT = 20
#: Of a model; what is longer is a path or a digest, and folded into pieces.
_LONGEST_NAME = 32
_PIECE = 16


def format_options(command: Command) -> Command:
    """Adds --csv and --json."""
    as_json = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
    as_csv = click.option("--csv", "as_csv", is_flag=True, help="Print it as CSV.")
    return as_csv(as_json(command))


def json_option(command: Command) -> Command:
    """Adds --json, for a command that does something instead of listing."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(
        command
    )


def tell(result: Row, plain: str, *, as_json: bool, to_stderr: bool = False) -> None:
    """What a command has done: for a program, or `plain` for a person; `to_stderr` where stdout is
    for what a script would take.
    """
    if as_json:
        click.echo(json.dumps(result))
    else:
        click.echo(plain, err=to_stderr)


def show(
    rows: Sequence[Row],
    columns: Sequence[str],
    *,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Rows with these columns, in this order."""
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other")
    if as_json:
        click.echo(json.dumps([{name: row[name] for name in columns} for row in rows], indent=2))
    elif as_csv:
        out = csv.writer(sys.stdout, lineterminator="\n")
        out.writerow(columns)
        out.writerows([_cell(row[name]) for name in columns] for row in rows)
    else:
        _print_table(rows, columns)


def _cell(value: Any) -> Any:
    """A spreadsheet must not take a name for a formula."""
    text = " ".join(value) if isinstance(value, list | tuple) else value
    return f"'{text}" if isinstance(text, str) and text[:1] in ("=", "+", "-", "@") else text


def _print_table(rows: Sequence[Row], columns: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    lines = [[_shown(row[name]) for name in columns] for row in rows]
    headings = [name.replace("_", " ") for name in columns]
    console = Console(highlight=False)
    widths = _widths(list(zip(headings, *lines, strict=True)), console.width)
    table = Table(box=None, pad_edge=False)
    for name, heading, width in zip(columns, headings, widths, strict=True):
        is_number = all(isinstance(row[name], int | float) for row in rows)
        justify = "right" if rows and is_number else "left"
        table.add_column(heading, justify=justify, overflow="fold", width=width)  # type: ignore[arg-type]
    for line in lines:
        table.add_row(*line)
    console.width = max(console.width, sum(widths) + _GAP * (len(widths) - 1))
    console.print(table, markup=False)


def _widths(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """No name and no time is broken, though lines may get longer than `room` by that; what is left
    of it goes to those that need least to break nothing at all. A column is a heading and cells.
    """
    widths = [max(_longest_word([heading]), _least(cells)) for heading, *cells in columns]
    wanted = [max(map(len, texts)) for texts in columns]
    spare = room - sum(widths) - _GAP * (len(widths) - 1)
    for index in sorted(range(len(widths)), key=lambda index: wanted[index] - widths[index]):
        more = min(wanted[index] - widths[index], max(spare, 0))
        widths[index] += more
        spare -= more
    return widths


def _least(cells: Sequence[str]) -> int:
    longest = max(map(len, cells), default=0)
    return longest if longest <= _SHORT else _longest_word(cells)


def _longest_word(texts: Iterable[str]) -> int:
    lengths = (len(word) for text in texts for word in text.split())
    return max((length if length <= _LONGEST_NAME else _PIECE for length in lengths), default=0)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return " ".join(str(each) for each in value)
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)
