"""Lines as gateways and replicas send them."""

from typing import Any

import msgspec

from serving.usage import EngineCount, Outcome, Sent, UsageRecord

#: 2026-11-27 12:00 UTC.
NOON_S = 1_795_780_800


def usage(request_id: str = "a", **changes: Any) -> UsageRecord:
    record = UsageRecord(
        request_id=request_id,
        key_id="key1",
        model_asked="small",
        model_answered="small",
        replica_id="small.0#1",
        prompt_tokens=10,
        completion_tokens=5,
        cached_tokens=2,
        outcome=Outcome.COMPLETE,
        started_s=float(NOON_S),
        duration_s=0.5,
        attempts=1,
        tenant="default",
    )
    return msgspec.structs.replace(record, **changes)


def sent(request_id: str = "a", **changes: Any) -> Sent:
    """A request that a replica has."""
    made = Sent(request_id, "key1", "default", "small", "small", "small.0#1", float(NOON_S), 1)
    return msgspec.structs.replace(made, **changes)


def cut(request_id: str = "a", **changes: Any) -> UsageRecord:
    """A stream that broke: the gateway counted events and knows no more."""
    broken = {"prompt_tokens": 0, "cached_tokens": 0, "outcome": Outcome.CUT}
    return usage(request_id, **{**broken, "is_estimated": True, **changes})


def count(request_id: str = "a", number: int = 0, **changes: Any) -> EngineCount:
    made = EngineCount("small.0#1", number, request_id, 10, 2, 7, 0.25)
    return msgspec.structs.replace(made, **changes)


def lines(*records: UsageRecord | EngineCount) -> bytes:
    return msgspec.json.Encoder().encode_lines(records)
