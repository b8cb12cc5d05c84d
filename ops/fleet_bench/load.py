"""What a benchmark asks for, and the prompts it asks with. Pure: the same load gives the same
prompts.

No two prompts of a run begin alike, so that no cache makes a point look faster than it is.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

WORDS = (
    *("node", "fleet", "plan", "stage", "model", "window", "token", "cluster", "gateway"),
    *("replica", "worker", "label", "cache", "queue", "stream", "budget", "tenant", "ledger"),
    *("router", "engine", "weight", "batch", "shape", "drain", "trace", "prompt", "answer"),
    *("client", "limit"),
)
#: Each walks through all words, whose number is prime, in an order of its own.
_STRIDES = range(1, len(WORDS))


@dataclass(frozen=True, slots=True)
class Load:
    """Two runs can be compared when these agree."""

    model: str
    prompt_words: int
    answer_tokens: int
    #: Requests that each client makes, one after the other.
    rounds: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def prompts(load: Load, first: int, count: int) -> Iterator[str]:
    """So many, from the number `first` on."""
    for number in range(first, first + count):
        stride = _STRIDES[number % len(_STRIDES)]
        words = (WORDS[(number + at * stride) % len(WORDS)] for at in range(load.prompt_words))
        yield f"{number}. {' '.join(words)}"
