"""A simulation over time, as pictures: first token, accelerators, hit rate."""

from collections.abc import Callable
from pathlib import Path

from deployments.simulation.report import Point, Report
from ops.errors import FileNotWritten, PlotsMissing

Value = Callable[[Point], float]
#: File, label, and what of a point it shows.
PLOTS: tuple[tuple[str, str, Value], ...] = (
    ("first-token.png", "first token, 90th percentile, s", lambda point: point.first_token_p90_s),
    ("accelerators.png", "accelerators", lambda point: point.accelerators),
    ("hit-rate.png", "prompt tokens found in a cache, %", lambda point: 100 * point.hit_rate),
)


def write_plots(report: Report, folder: Path) -> list[Path]:
    """The files. Raises PlotsMissing without matplotlib, FileNotWritten."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise PlotsMissing from None
    written = []
    for name, label, value in PLOTS:
        figure = Figure(figsize=(10, 5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for model, points in report.timeline.items():
            axes.plot([p.at_s / 60 for p in points], [value(p) for p in points], label=model)
        axes.set(xlabel="minutes", ylabel=label, ylim=(0, None))
        axes.legend()
        written.append(_saved(figure.savefig, folder / name))
    return written


def _saved(save: Callable[[Path], None], path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path)
    except OSError as error:
        raise FileNotWritten(path, (error.strerror or "cannot be written").lower()) from error
    return path
