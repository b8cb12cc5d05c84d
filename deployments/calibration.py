"""How long one replica takes for its work: what was measured on a running engine, or worked out
from data sheets, as a file keeps it. Pure.

`basis` says which of the two it is, and whoever prints a figure that comes from here says it too:
an estimate is never shown as a measurement.
"""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cluster.strict import Strict

#: Beyond these a file says something that no engine does.
MAX_SECONDS = 3600.0
MAX_TOKENS = 2**31 - 1
MAX_SEQUENCES = 1 << 16
MAX_POINTS = 100

Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False, strict=False)]
Tokens = Annotated[int, Field(ge=1, le=MAX_TOKENS)]
Sequences = Annotated[int, Field(ge=1, le=MAX_SEQUENCES)]
Basis = Literal["measured", "estimated"]


class Spread(Strict):
    """Of one figure over all rounds."""

    median: Seconds
    low: Seconds
    high: Seconds

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.low <= self.median <= self.high:
            raise ValueError("low, median and high are not in this order")
        return self


class Prefill(Strict):
    """From sending a prompt that is in no cache to its first token, on an idle engine."""

    tokens: Tokens
    seconds: Spread


class Decode(Strict):
    """One step that makes a token for each of so many sequences."""

    sequences: Sequences
    #: What each sequence has behind it, on average.
    context_tokens: Tokens
    seconds: Spread


class Cache(Strict):
    """The KV cache of one replica."""

    blocks: Tokens
    block_tokens: Tokens


class Batch(Strict):
    """What one step may hold: vLLM's `max_num_batched_tokens` and `max_num_seqs`."""

    tokens: Tokens
    sequences: Sequences


class Calibration(Strict):
    """One model in one shape on one kind of accelerator."""

    model: str = Field(min_length=1, max_length=128)
    accelerator: str = Field(min_length=1, max_length=63)
    tensor: int = Field(ge=1, le=64)
    pipeline: int = Field(ge=1, le=64)
    basis: Basis
    #: Which engine, machine and day; of an estimate, which data sheet.
    origin: str = Field(min_length=1, max_length=1000)
    #: Of a request before the engine's scheduler sees it, and of its answer on the way back.
    overhead: Spread
    prefill: Annotated[
        tuple[Prefill, ...], Field(min_length=2, max_length=MAX_POINTS, strict=False)
    ]
    #: With contexts so short that their length does not matter.
    decode: Annotated[tuple[Decode, ...], Field(min_length=1, max_length=MAX_POINTS, strict=False)]
    #: With contexts long enough that it does.
    long_decode: Annotated[tuple[Decode, ...], Field(max_length=MAX_POINTS, strict=False)] = ()
    cache: Cache
    batch: Batch
    #: From nothing to the first token; None where the engine ran already.
    start: Spread | None = None

    @model_validator(mode="after")
    def _rising(self) -> Self:
        _require_rising("prefill", [point.tokens for point in self.prefill])
        _require_rising("decode", [point.sequences for point in self.decode])
        return self


def _require_rising(name: str, values: list[int]) -> None:
    if any(following <= value for value, following in pairwise(values)):
        raise ValueError(f"the points of {name} do not rise")
