"""What became of checkpoints, for a terminal and for other programs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from cluster.accelerator import GIB
from cluster.checking.check import Check
from cluster.staging import Result, State
from ops.doctor_view import COLOURS as CHECK_COLOURS

COLOURS = {State.STAGED: "green", State.PRESENT: "dim", State.FAILED: "bold red"}


def table(results: Sequence[Result]) -> Table:
    """A row for each checkpoint and node."""
    shown = Table(box=None, pad_edge=False)
    for column in ("node", "checkpoint"):
        shown.add_column(column, no_wrap=True)
    for column in ("state", "size", "took", "rate"):
        shown.add_column(column, no_wrap=True, justify="right")
    for result in results:
        state = Text(result.state, style=COLOURS[result.state])
        shown.add_row(result.node, result.source or "-", state, *_figures(result))
    return shown


def _figures(result: Result) -> tuple[str, str, str]:
    size = f"{result.size_bytes / GIB:,.2f} GiB" if result.size_bytes else ""
    if result.state is not State.STAGED or result.took_s <= 0:
        return size, "", ""
    rate = result.size_bytes / GIB / result.took_s
    return size, f"{result.took_s:,.1f} s", f"{rate:,.2f} GiB/s"


def checks_table(checks: Mapping[str, Check]) -> Table:
    """A row for each node."""
    shown = Table(box=None, pad_edge=False)
    for column in ("node", "state", "checkpoints"):
        shown.add_column(column, no_wrap=column != "checkpoints")
    for node, check in checks.items():
        text = f"{check.text}: {check.fix}" if check.fix else check.text
        shown.add_row(node, Text(check.state, style=CHECK_COLOURS[check.state]), Text(text))
    return shown


def checks_as_json(checks: Mapping[str, Check]) -> list[dict[str, str]]:
    """Verdicts as plain values."""
    return [
        {"node": node, "state": check.state.value, "text": check.text, "fix": check.fix}
        for node, check in checks.items()
    ]


def failures(results: Sequence[Result]) -> list[str]:
    """A line each: where, why, and what to do."""
    return [
        ": ".join(part for part in (result.node, result.source, result.cause, result.fix) if part)
        for result in results
        if result.state is State.FAILED
    ]


def summary(results: Sequence[Result]) -> str:
    """How many of each."""
    counts = Counter(result.state for result in results)
    return ", ".join(f"{counts[state]} {state}" for state in State if counts[state])


def as_json(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Results as plain values."""
    return [
        {
            "node": result.node,
            "source": result.source,
            "state": result.state.value,
            "size_bytes": result.size_bytes,
            "took_s": round(result.took_s, 3),
            **({"cause": result.cause, "fix": result.fix} if result.cause else {}),
        }
        for result in results
    ]
