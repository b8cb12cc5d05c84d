"""The prompts of a trace: what shares a block in the trace shares its text here. Pure.

A token is taken for four bytes of English words, about what tokenizers make of them; how many there
were is the engine's own count.
"""

from collections.abc import Iterator

from deployments.simulation.trace import Arrival
from ops.fleet_bench.load import WORDS

BYTES_PER_TOKEN = 4


def trace_prompt(arrival: Arrival, block_tokens: int, number: int) -> str:
    """The prompt of the request with this number: its blocks, and the rest, which is its own."""
    size_bytes = block_tokens * BYTES_PER_TOKEN
    shared = "".join(_text(f"block {block}", block, size_bytes) for block in arrival.blocks)
    rest_tokens = arrival.prompt_tokens - len(arrival.blocks) * block_tokens
    own = _text(f"request {number}", number, max(rest_tokens, 0) * BYTES_PER_TOKEN)
    return shared + own or "."


def _text(title: str, seed: int, size_bytes: int) -> str:
    """Exactly so long; the title comes first, so that no two begin alike."""
    parts, length = [f"{title}."], len(title) + 1
    for word in _words(seed):
        if length >= size_bytes:
            break
        parts.append(word)
        length += len(word) + 1
    return " ".join(parts)[: max(size_bytes - 1, 0)] + " " * bool(size_bytes)


def _words(seed: int) -> Iterator[str]:
    stride, at = 1 + seed % (len(WORDS) - 1), seed
    while True:
        yield WORDS[at % len(WORDS)]
        at += stride
