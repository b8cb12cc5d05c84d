"""Reads a trace file line by line, so that neither its size nor a line's can fill the memory."""

from collections.abc import Iterator
from pathlib import Path

from cluster.problem import Problem
from deployments.errors import TraceInvalid
from deployments.simulation.trace import MAX_LINE_BYTES, Names, Trace, read_trace

MAX_BYTES = 4 << 30


def load_trace(path: Path, names: Names, block_tokens: int) -> Trace:
    """The trace in a file. Raises TraceInvalid."""
    try:
        return read_trace(_lines(path), str(path), names, block_tokens)
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise TraceInvalid([Problem((), reason, str(path))]) from None


def _lines(path: Path) -> Iterator[bytes]:
    """A line that is too long comes in parts, each of which is too long or no JSON."""
    read = 0
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES + 1):
            read += len(line)
            if read > MAX_BYTES:
                problem = Problem((), f"is larger than {MAX_BYTES >> 30} GiB", str(path))
                raise TraceInvalid([problem])
            yield line
