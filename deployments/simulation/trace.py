"""A trace: when which request came, how long it was, and what it had in common with others. Pure.

A line is a JSON object: `timestamp` in milliseconds, `input_length` and `output_length` in tokens,
`hash_ids` of the prompt's blocks, and where the trace is of several models, `model`. An id stands
for a block and all that comes before it, so that equal ids are equal prefixes (the format of
Mooncake's traces, whose blocks have 512 tokens).

Rules
1. A line that cannot be true is left out, counted, and named with its number.
2. A trace of which more than a tenth is left out is not one, and nothing is played.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import msgspec
from msgspec import Meta

from cluster.problem import Problem, nearest
from deployments.errors import TraceInvalid

BLOCK_TOKENS = 512
MAX_LINE_BYTES = 1 << 20
MAX_REQUESTS = 2_000_000
#: A year.
MAX_MS = 366 * 86_400_000
MAX_TOKENS = 1 << 24
#: Of the lines that are left out, so many are named.
MOST_NAMED = 5
MOST_BAD_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request, when it reaches a gateway."""

    at_s: float
    #: As the fleet names it.
    model: str
    prompt_tokens: int
    output_tokens: int
    #: One for every block of the prompt that is full.
    blocks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """Requests in the order in which they come."""

    arrivals: tuple[Arrival, ...]
    #: Of every block that `blocks` names.
    block_tokens: int
    left_out: int = 0
    #: Of those that were left out, the first.
    problems: tuple[Problem, ...] = ()

    @property
    def span_s(self) -> float:
        return self.arrivals[-1].at_s - self.arrivals[0].at_s


@dataclass(frozen=True, slots=True)
class Names:
    """What models are called."""

    #: Every name and alias of the fleet -> the model's own name.
    known: Mapping[str, str]
    #: Of requests whose line names none.
    default: str | None

    def of(self, said: str | None) -> str:
        """Raises ValueError with the reason."""
        if said is None:
            if self.default is None:
                raise ValueError("names no model: say which it is with --model")
            return self.default
        found = self.known.get(said)
        if found is None:
            raise ValueError(f"the fleet has no model {said!r:.60}{nearest(said, self.known)}")
        return found


class _Line(msgspec.Struct):
    timestamp: Annotated[float, Meta(ge=0, le=MAX_MS)]
    input_length: Annotated[int, Meta(ge=1, le=MAX_TOKENS)]
    output_length: Annotated[int, Meta(ge=1, le=MAX_TOKENS)]
    hash_ids: list[Annotated[int, Meta(ge=0)]] = []
    model: str | None = None


def read_trace(
    lines: Iterable[bytes], file: str, names: Names, block_tokens: int = BLOCK_TOKENS
) -> Trace:
    """The trace of a file's lines. Raises TraceInvalid when it cannot be one."""
    reader = _Reader(file, names, block_tokens)
    arrivals = tuple(reader.arrivals(lines))
    found = tuple(reader.problems)
    if not arrivals or reader.left_out > MOST_BAD_SHARE * reader.seen:
        raise TraceInvalid(found or (Problem((), "is empty: it holds no request", file),))
    return Trace(arrivals, block_tokens, reader.left_out, found)


class _Reader:
    """Counts what it sees and what it leaves out."""

    def __init__(self, file: str, names: Names, block_tokens: int) -> None:
        self._file = file
        self._names = names
        self._block_tokens = block_tokens
        #: As the file names them -> in the order in which they come.
        self._numbers: dict[int, int] = {}
        self._decoder = msgspec.json.Decoder(_Line)
        self.seen = 0
        self.left_out = 0
        self.problems: list[Problem] = []

    def arrivals(self, lines: Iterable[bytes]) -> Iterator[Arrival]:
        last_s = 0.0
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            if self.seen >= MAX_REQUESTS:
                raise TraceInvalid([self._problem(number, f"is beyond {MAX_REQUESTS:,} requests")])
            self.seen += 1
            try:
                arrival = self._arrival(line, last_s)
            except ValueError as error:
                self._leave_out(number, str(error))
                continue
            last_s = arrival.at_s
            yield arrival

    def _arrival(self, line: bytes, last_s: float) -> Arrival:
        """Raises ValueError with what is wrong; msgspec's errors are such."""
        if len(line) > MAX_LINE_BYTES:
            raise ValueError(f"is longer than {MAX_LINE_BYTES >> 20} MiB")
        said = self._decoder.decode(line)
        at_s = said.timestamp / 1000
        if at_s < last_s:
            raise ValueError(
                f"its timestamp goes back, from {last_s * 1000:,.0f} to {said.timestamp:,.0f} ms: "
                "sort the trace"
            )
        return Arrival(
            at_s=at_s,
            model=self._names.of(said.model),
            prompt_tokens=said.input_length,
            output_tokens=said.output_length,
            blocks=self._blocks(said),
        )

    def _blocks(self, said: _Line) -> tuple[int, ...]:
        """Those that are full. Raises ValueError."""
        ids, tokens, size = said.hash_ids, said.input_length, self._block_tokens
        most = -(-tokens // size)
        if len(ids) > most:
            raise ValueError(
                f"has {len(ids)} `hash_ids`, and {tokens:,} tokens are {most} blocks of {size}"
            )
        if len(set(ids)) < len(ids):
            raise ValueError("names a block twice: an id stands for all that comes before it, too")
        numbers = self._numbers
        return tuple(numbers.setdefault(each, len(numbers)) for each in ids[: tokens // size])

    def _leave_out(self, number: int, reason: str) -> None:
        self.left_out += 1
        if len(self.problems) < MOST_NAMED:
            self.problems.append(self._problem(number, reason))

    def _problem(self, number: int, reason: str) -> Problem:
        return Problem((), reason, f"{self._file}:{number}")


def faster(trace: Trace, speed: float) -> Trace:
    """The same requests in less time."""
    sooner = (replace(each, at_s=each.at_s / speed) for each in trace.arrivals)
    return replace(trace, arrivals=tuple(sooner))


def repeated(trace: Trace, times: int) -> Trace:
    """So often, one after the other; no prompt of one time has anything in common with another's.
    Raises TraceInvalid.
    """
    if len(trace.arrivals) * times > MAX_REQUESTS:
        raise TraceInvalid([Problem((), f"repeated it has more than {MAX_REQUESTS:,} requests")])
    pause_s = trace.span_s / max(len(trace.arrivals) - 1, 1)
    ids = 1 + max((max(each.blocks, default=0) for each in trace.arrivals), default=0)
    return replace(
        trace,
        arrivals=tuple(
            replace(
                each,
                at_s=each.at_s + time * (trace.span_s + pause_s),
                blocks=tuple(block + time * ids for block in each.blocks),
            )
            for time in range(times)
            for each in trace.arrivals
        ),
    )


def with_load(trace: Trace, from_s: float, factor: float) -> Trace:
    """From one moment on the requests come so many times as fast."""
    return replace(
        trace,
        arrivals=tuple(
            each
            if each.at_s <= from_s
            else replace(each, at_s=from_s + (each.at_s - from_s) / factor)
            for each in trace.arrivals
        ),
    )
