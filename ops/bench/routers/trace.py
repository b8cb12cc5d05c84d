"""Reads a slice of a request trace: when a request came, how long it was, which blocks it shares.

The format is Mooncake's: a JSON object a line with `timestamp` (ms), `input_length` and
`output_length` (tokens) and `hash_ids`, one id for each block of 512 prompt tokens. Equal ids are
equal text after equal text. Pure: lines in, values out.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count, groupby, islice, pairwise

from ops.bench.errors import BenchError

BLOCK_TOKENS = 512
#: The longest prompt of the published traces is under 200,000 tokens.
_MOST_TOKENS = 1_000_000
_MS_PER_S = 1_000


class BadTrace(BenchError):
    """A line that is no request; the text names it."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of the trace."""

    arrival_s: float
    prompt_tokens: int
    output_tokens: int
    #: One id for each block, the last block possibly short.
    blocks: tuple[int, ...]


def read(lines: Iterable[str], limit: int) -> tuple[Ask, ...]:
    """The first `limit` requests, in order of arrival.

    Raises BadTrace with the number of the first line that is none, or when there is no line.
    """
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    asks = tuple(_ask(number, line) for number, line in islice(numbered, limit))
    if not asks:
        raise BadTrace("the trace holds no request")
    for number, (before, after) in enumerate(pairwise(asks), 2):
        if after.arrival_s < before.arrival_s:
            raise BadTrace(f"request {number} of the trace comes before the one ahead of it")
    return tuple(_spread(asks))


def _ask(number: int, line: str) -> Ask:
    try:
        row = json.loads(line)
        blocks = tuple(int(block) for block in row["hash_ids"])
        prompt, output = int(row["input_length"]), int(row["output_length"])
        arrival_s = float(row["timestamp"]) / _MS_PER_S
    except (ValueError, TypeError, KeyError) as bad:
        raise BadTrace(f"line {number} of the trace is no request ({bad!r})") from None
    if not (0 < prompt <= _MOST_TOKENS and 0 < output <= _MOST_TOKENS and 0 <= arrival_s < 1e9):
        raise BadTrace(f"line {number} of the trace has a length or time out of bounds")
    if len(blocks) != -(-prompt // BLOCK_TOKENS):
        raise BadTrace(f"line {number} of the trace has {len(blocks)} blocks for {prompt} tokens")
    return Ask(arrival_s, prompt, output, blocks)


def _spread(asks: tuple[Ask, ...]) -> Iterator[Ask]:
    """Spreads requests of one timestamp evenly until the next.

    The published clock ticks every three seconds; ten requests at once are its artefact.
    """
    ticks = [tuple(group) for _, group in groupby(asks, lambda ask: ask.arrival_s)]
    gap_s = 0.0
    for group, after in zip(ticks, [*ticks[1:], None], strict=True):
        # The last tick has no next one and lasts as long as the one before it.
        gap_s = after[0].arrival_s - group[0].arrival_s if after else gap_s
        for index, ask in enumerate(group):
            yield replace(ask, arrival_s=ask.arrival_s + gap_s * index / len(group))


def hurried(asks: tuple[Ask, ...], load: float) -> tuple[Ask, ...]:
    """The same requests, `load` times as many a second, from zero on."""
    start_s = asks[0].arrival_s
    return tuple(replace(ask, arrival_s=(ask.arrival_s - start_s) / load) for ask in asks)


def without_shared_blocks(asks: tuple[Ask, ...]) -> tuple[Ask, ...]:
    """The same lengths and times, every block a text of its own: no cache can help."""
    fresh = count(max(block for ask in asks for block in ask.blocks) + 1)
    return tuple(replace(ask, blocks=tuple(islice(fresh, len(ask.blocks)))) for ask in asks)
