"""A simulation as the operator sees it: a table, or JSON. Pure."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deployments.simulation.record import Ending
from deployments.simulation.report import Percentiles, Summary
from ops.simulation import Simulated

HEADERS = (
    "model",
    "requests",
    "lost",
    "first token p50",
    "p90",
    "p99",
    "per token p50",
    "prompt tokens/s",
    "output tokens/s",
    "hit rate",
    "accelerators",
)
TOTAL = "all"
MOST_DECISIONS = 20


def view(simulated: Simulated) -> RenderableType:
    """The table, and what it rests on."""
    table = Table(box=None, pad_edge=False)
    for number, header in enumerate(HEADERS):
        table.add_column(header, justify="right" if number else "left")
    rows = dict(simulated.report.models)
    if len(rows) > 1:
        rows[TOTAL] = simulated.report.total
    for model, summary in rows.items():
        table.add_row(*_row(model, summary))
    return Group(table, *(Text(line) for line in _lines(simulated)))


def _row(model: str, summary: Summary) -> tuple[str, ...]:
    first = summary.first_token_s
    return (
        model,
        f"{summary.requests:,}",
        f"{summary.lost:,}",
        *(_seconds(value) for value in (first.p50, first.p90, first.p99)),
        _figure(summary.token_s.p50 * 1000, "{:,.1f} ms"),
        f"{summary.prompt_tokens_per_s:,.0f}",
        f"{summary.output_tokens_per_s:,.0f}",
        _figure(summary.hit_rate, "{:.1%}"),
        f"{summary.accelerator_share:.1%}",
    )


def _seconds(value: float) -> str:
    return _figure(value, "{:,.3f} s")


def _figure(value: float, form: str) -> str:
    return "-" if math.isnan(value) else form.format(value)


def _lines(simulated: Simulated) -> Iterator[str]:
    report, trace = simulated.report, simulated.trace
    yield ""
    yield f"{len(trace.arrivals):,} requests, {report.ended_s:,.0f} s until the last one ended"
    for ending, count in report.total.endings.items():
        if ending is not Ending.ANSWERED:
            yield f"lost: {count:,} {ending.value}"
    if report.preempted:
        yield f"{report.preempted:,} times a request lost its place in a cache and began anew"
    if trace.left_out:
        yield f"{trace.left_out:,} lines of the trace were left out:"
        yield from (f"  {problem}" for problem in trace.problems)
    for at_s, change in report.decisions[:MOST_DECISIONS]:
        yield f"{at_s:8,.0f} s  {change}"
    if len(report.decisions) > MOST_DECISIONS:
        yield f"and {len(report.decisions) - MOST_DECISIONS:,} more changes: see --json"
    for model, each in simulated.timed.items():
        yield f"{model}: {each.calibration.basis}: {each.calibration.origin}"


def as_json(simulated: Simulated) -> dict[str, Any]:
    """Everything; a figure that does not exist is null."""
    report = simulated.report
    said: dict[str, Any] = {
        "ended_s": report.ended_s,
        "preempted": report.preempted,
        "left_out_lines": simulated.trace.left_out,
        "total": _summary(report.total),
        "models": {
            model: {
                **_summary(summary),
                "basis": simulated.timed[model].calibration.basis,
                "origin": simulated.timed[model].calibration.origin,
                "timeline": [_known(asdict(point)) for point in report.timeline[model]],
            }
            for model, summary in report.models.items()
        },
        "decisions": [{"at_s": at_s, "change": change} for at_s, change in report.decisions],
    }
    return said


def _summary(summary: Summary) -> dict[str, Any]:
    plain = {
        "requests": summary.requests,
        "lost": summary.lost,
        "endings": {ending.value: count for ending, count in summary.endings.items()},
        "first_token_s": _percentiles(summary.first_token_s),
        "token_s": _percentiles(summary.token_s),
        "prompt_tokens_per_s": summary.prompt_tokens_per_s,
        "output_tokens_per_s": summary.output_tokens_per_s,
        "hit_rate": summary.hit_rate,
        "accelerator_share": summary.accelerator_share,
    }
    return _known(plain)


def _percentiles(found: Percentiles) -> dict[str, Any]:
    return _known(asdict(found))


def _known(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN."""
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in values.items()
    }
