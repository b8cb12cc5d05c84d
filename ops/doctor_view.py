"""Reports on machines for a terminal and for other programs. Shows and decides nothing."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cluster.checking.check import Check, State, some
from cluster.preflight import BLOCKING, GROUPS, Report

COLOURS: Mapping[State, str] = {
    State.SKIPPED: "dim",
    State.OK: "green",
    State.WARN: "yellow",
    State.FAIL: "bold red",
}
#: From good to bad.
ORDER = tuple(COLOURS)


def view(reports: Sequence[Report]) -> RenderableType:
    """A table with a row a machine, then what is wrong, then one line of all."""
    parts: list[RenderableType] = [_table(reports)]
    for state, lines in ((State.FAIL, _failures(reports)), (State.WARN, _warnings(reports))):
        if lines:
            parts += ["", Text(state, style=COLOURS[state]), *(Text(f"  {line}") for line in lines)]
    return Group(*parts, "", Text(summary(reports), style="bold"))


def _table(reports: Sequence[Report]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("node", "address", *GROUPS):
        table.add_column(column, overflow="fold")
    for report in reports:
        cells = [_cell(report.groups.get(group, ())) for group in GROUPS]
        table.add_row(report.machine.name, report.machine.address, *cells)
    return table


def _cell(checks: Sequence[Check]) -> Text:
    """The worst state of a group, with how many have it where that is bad."""
    worst = max((check.state for check in checks), key=ORDER.index, default=State.SKIPPED)
    count = sum(check.state is worst for check in checks)
    number = f"{count} " if count > 1 and worst in (State.WARN, State.FAIL) else ""
    return Text("-" if worst is State.SKIPPED else f"{number}{worst}", style=COLOURS[worst])


def _failures(reports: Sequence[Report]) -> list[str]:
    return [_line(report.machine.name, check) for report in reports for check in report.failed]


def _warnings(reports: Sequence[Report]) -> list[str]:
    """One line for all machines of which the same is said, as of a setting that all have."""
    nodes: dict[Check, list[str]] = {}
    for report in reports:
        for check in report.checks:
            if check.state is State.WARN:
                nodes.setdefault(check, []).append(report.machine.name)
    return [_line(some(names), check) for check, names in nodes.items()]


def _line(who: str, check: Check) -> str:
    return ": ".join(part for part in (who, check.name, check.text, check.fix) if part)


def summary(reports: Sequence[Report]) -> str:
    """One line: how many of each."""
    counts = Counter(check.state for report in reports for check in report.checks)
    nodes = f"{len(reports)} machine{'s' if len(reports) != 1 else ''}"
    return f"{nodes}: " + ", ".join(
        f"{counts[state]} {state}" for state in (State.OK, State.WARN, State.FAIL)
    )


def as_json(name: str, reports: Sequence[Report]) -> dict[str, Any]:
    """Reports as plain values."""
    return {
        "inventory": name,
        "ok": not any(report.failed for report in reports),
        "machines": [
            {
                "name": report.machine.name,
                "address": report.machine.address,
                "checks": list(_checks_json(report)),
            }
            for report in reports
        ],
    }


def _checks_json(report: Report) -> Iterator[dict[str, Any]]:
    for group, checks in report.groups.items():
        for check in checks:
            yield {
                "group": group,
                "name": check.name,
                "state": check.state.value,
                "text": check.text,
                "fix": check.fix,
                "blocks_bring_up": check.state is State.FAIL and check.name in BLOCKING,
            }
