"""Lines of a spool as values: what is a record, and what is not and why. Pure.

Whatever passes here fits every column, so that one bad line cannot keep a batch out of the ledger.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

from serving.money import Price
from serving.usage import Outcome

#: A larger number is a mistake; it also fits every column.
_Count = Annotated[int, Meta(ge=0, le=2**53)]
_Amount = Annotated[float, Meta(ge=0, le=1e12)]
_Text = Annotated[str, Meta(max_length=512)]
_Id = Annotated[str, Meta(min_length=1, max_length=128)]
#: PostgreSQL's text holds every character but this one.
_NUL = (b"\x00", b"\\u0000")


class UsageLine(msgspec.Struct, frozen=True):
    """`serving.usage.UsageRecord` with bounds."""

    request_id: _Id
    key_id: _Text
    model_asked: _Text
    model_answered: _Text
    replica_id: _Text
    prompt_tokens: _Count
    completion_tokens: _Count
    cached_tokens: _Count
    outcome: Outcome
    #: Until the year 9999, the last that a day can be written of.
    started_s: Annotated[float, Meta(ge=0, le=253_402_300_799)]
    duration_s: _Amount
    attempts: Annotated[int, Meta(ge=0, le=1_000)]
    tenant: _Text = ""
    is_estimated: bool = False
    price: Price | None = None


class CountLine(msgspec.Struct, frozen=True):
    """`serving.usage.EngineCount` with bounds."""

    replica_id: _Id
    number: _Count
    request_id: _Id
    prompt_tokens: _Count
    cached_tokens: _Count
    completion_tokens: _Count
    accelerator_s: _Amount


@dataclass(frozen=True, slots=True)
class Rejected:
    line: bytes
    cause: str


Line = TypeVar("Line", UsageLine, CountLine)


@dataclass(frozen=True, slots=True)
class Lines(Generic[Line]):
    records: tuple[Line, ...]
    rejected: tuple[Rejected, ...]


_usage = msgspec.json.Decoder(UsageLine)
_count = msgspec.json.Decoder(CountLine)


def usage_lines(data: bytes) -> Lines[UsageLine]:
    """What a gateway sent."""
    return _read(data, _usage)


def count_lines(data: bytes) -> Lines[CountLine]:
    """What a replica sent."""
    return _read(data, _count)


def _read(data: bytes, decoder: "msgspec.json.Decoder[Line]") -> Lines[Line]:
    try:  # all at once, since all are records nearly always
        if any(nul in data for nul in _NUL):
            raise ValueError
        return Lines(tuple(decoder.decode_lines(data)), ())
    except (msgspec.MsgspecError, ValueError):
        return _sorted(data.splitlines(), decoder)


def _sorted(lines: Sequence[bytes], decoder: "msgspec.json.Decoder[Line]") -> Lines[Line]:
    records: list[Line] = []
    rejected: list[Rejected] = []
    for line in lines:
        if any(nul in line for nul in _NUL):
            rejected.append(Rejected(line, "holds a NUL"))
            continue
        try:
            records.append(decoder.decode(line))
        except (msgspec.MsgspecError, ValueError) as error:
            rejected.append(Rejected(line, str(error)[:500]))
    return Lines(tuple(records), tuple(rejected))
