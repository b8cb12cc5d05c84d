"""A sweep as it is kept and shown: JSON, a table, a picture."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from ops.errors import BaselineUnusable, FileNotWritten, PlotsMissing
from ops.fleet_bench.load import Load
from ops.fleet_bench.point import Point, point_from


@dataclass(frozen=True, slots=True)
class Run:
    """All points of one load."""

    load: Load
    points: tuple[Point, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "load": self.load.as_json(),
            "points": [asdict(point) for point in self.points],
        }


def save(run: Run, path: Path) -> None:
    """Raises FileNotWritten."""
    try:
        path.write_text(json.dumps(run.as_json(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise FileNotWritten(path, (error.strerror or "cannot be written").lower()) from error


def read_baseline(path: Path, load: Load) -> tuple[Point, ...]:
    """The points of a saved run of the same load. Raises BaselineUnusable."""
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        was, points = Load(**saved["load"]), tuple(map(point_from, saved["points"]))
    except OSError as error:
        raise BaselineUnusable(path, (error.strerror or "cannot be read").lower()) from error
    except (ValueError, KeyError, TypeError) as error:
        raise BaselineUnusable(path, "is no saved benchmark: make one with --save") from error
    if was != load:
        other = ", ".join(
            f"{name} {value}"
            for name, value in was.as_json().items()
            if value != load.as_json()[name]
        )
        raise BaselineUnusable(path, f"is of another load ({other}): ask for the same")
    return points


def table(points: Sequence[Point]) -> Table:
    """Throughput and latency side by side."""
    shown = Table(box=None, pad_edge=False)
    headings = ("clients", "requests/s", "tokens/s", "first p50", "p99", "next p50", "p99")
    for heading in (*headings, "whole p50", "p99", "not whole"):
        shown.add_column(heading, justify="right")
    for point in points:
        times = (
            point.first_token_p50_ms,
            point.first_token_p99_ms,
            point.next_token_p50_ms,
            point.next_token_p99_ms,
            point.whole_p50_ms,
            point.whole_p99_ms,
        )
        rates = f"{point.requests_per_s:.2f}", f"{point.answer_tokens_per_s:,.0f}"
        wrong = "" if point.is_whole else f"{point.failed} + {point.missing_tokens} tokens"
        shown.add_row(str(point.clients), *rates, *(f"{each:,.0f} ms" for each in times), wrong)
    return shown


def plot(run: Run, path: Path) -> None:
    """Latency over throughput, a point for each number of clients. Raises PlotsMissing,
    FileNotWritten.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise PlotsMissing from None
    figure = Figure(figsize=(10, 5), layout="constrained")
    FigureCanvasAgg(figure)
    rates = [point.answer_tokens_per_s for point in run.points]
    for axes, name, label in zip(
        figure.subplots(1, 2),
        ("first_token", "next_token"),
        ("first token, ms", "between tokens, ms"),
        strict=True,
    ):
        for share in ("p50", "p99"):
            times = [getattr(point, f"{name}_{share}_ms") for point in run.points]
            axes.plot(rates, times, marker="o", label=share)
        for point in run.points:
            at = point.answer_tokens_per_s, getattr(point, f"{name}_p50_ms")
            axes.annotate(f"{point.clients}", at, textcoords="offset points", xytext=(4, 6))
        axes.set(xlabel="answer tokens/s", ylabel=label, xlim=(0, None), ylim=(0, None))
        axes.legend()
    figure.suptitle(f"{run.load.model}: numbers at the points are clients")
    try:
        figure.savefig(path)
    except OSError as error:
        raise FileNotWritten(path, (error.strerror or "cannot be written").lower()) from error
