"""Turns the samples of a run into the tables and the page that people read. Pure."""

from collections.abc import Iterator

from ops.bench.cells import NOTHING, STREAM, UNARY, Cells, Fields
from ops.bench.results import Results, errors, noise
from ops.bench.shape import Shape
from ops.bench.table import Table

NOTES = """\
- `*` the rig had no processor time left and the gateway did: the rate is the rig's limit.
  Compare CPU then.
- `!` some replies were broken or refused; the counts are under "Errors". Only whole replies count.
- CPU is user + system time of the gateway's own processes, from `/proc/PID/stat`.
- "added" is the gateway's latency minus direct's, both at 1 connection, percentile by percentile.
- "ours / it" is our rate over its rate; "its CPU / ours" the price of the same work.
  Above 1.0 we are ahead.
- Chunks that come as fast as they can pile up, and a gateway that is behind reads several at once:
  that makes each cheap. The paced table has the price of a chunk at an engine's pace.
- With several rounds a figure is the median; rates carry their range.
"""


def tables(results: Results) -> tuple[Table, ...]:
    return tuple(_tables(results))


def _tables(results: Results) -> Iterator[Table]:
    shapes = tuple(dict.fromkeys(sample.shape for sample in results.samples))
    unary = tuple(shape for shape in shapes if not shape.stream)
    fast = tuple(shape for shape in shapes if shape.stream and not shape.pause_ms)
    if unary:
        yield _row_table(results, "Whole replies", unary, UNARY)
    if fast:
        yield _row_table(results, "Streams of 50 chunks, as fast as they come", fast, STREAM)
    for shape in shapes:
        if shape.pause_ms:
            yield _paced_table(results, shape)


def _row_table(results: Results, title: str, shapes: tuple[Shape, ...], fields: Fields) -> Table:
    alone = next((shape for shape in shapes if shape.connections == 1), None)
    # The load most readers ask about: enough connections to fill a core, not enough to queue.
    busy = next((shape for shape in shapes if shape.connections == 64), shapes[-1])
    headers = (
        "gateway",
        *(f"{fields.unit} x{shape.connections}" for shape in shapes),
        f"ours / it x{busy.connections}",
        f"{fields.cpu_unit} x{busy.connections}",
        "its CPU / ours",
        f"added {fields.latency} x1",
        f"{fields.latency} x{busy.connections}",
    )
    cells = Cells(results, fields)
    rows = tuple(
        (
            name,
            *(cells.rate(name, shape) for shape in shapes),
            cells.lead(name, busy),
            cells.cpu(name, busy),
            cells.price(name, busy),
            cells.added(name, alone) if alone else NOTHING,
            cells.latency(name, busy),
        )
        for name in results.setups
    )
    return Table(title, headers, rows)


def _paced_table(results: Results, shape: Shape) -> Table:
    title = f"{shape.connections} streams with a chunk every {shape.pause_ms:g} ms"
    headers = ("gateway", "chunks/s", STREAM.cpu_unit, "its CPU / ours", STREAM.latency)
    cells = Cells(results, STREAM)
    rows = tuple(
        (
            name,
            cells.rate(name, shape),
            cells.cpu(name, shape),
            cells.price(name, shape),
            cells.latency(name, shape),
        )
        for name in results.setups
    )
    return Table(title, headers, rows)


def page(results: Results) -> str:
    """Its section of RESULTS.md."""
    window = results.window
    parts = [
        "# The gateway beside its rivals on one core\n",
        f"{results.machine.words} `{results.command}`: {results.rounds} rounds, "
        f"{window.duration_s:g} s a load after {window.warmup_s:g} s of warm-up. "
        f"{noise(results)}\n",
        NOTES,
        *(table.markdown() for table in tables(results)),
        "## Set up as\n",
        _bullets(f"**{name}**: {setup}" for name, setup in results.setups.items()),
    ]
    if results.skipped:
        skipped = (f"{name}: {reason}" for name, reason in results.skipped.items())
        parts += ["## Skipped\n", _bullets(skipped)]
    if found := errors(results):
        parts += ["## Errors\n", _bullets(found)]
    return "\n".join(parts)


def _bullets(lines: Iterator[str] | tuple[str, ...]) -> str:
    return "".join(f"- {line}\n" for line in lines)
