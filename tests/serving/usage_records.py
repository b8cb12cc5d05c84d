"""Usage records as a gateway makes them."""

from typing import Any

from msgspec.structs import replace

from serving.usage import Outcome, UsageRecord

_RECORD = UsageRecord(
    request_id="0" * 32,
    key_id="k",
    model_asked="tiny",
    model_answered="tiny",
    replica_id="tiny.0#1",
    prompt_tokens=10,
    completion_tokens=5,
    cached_tokens=4,
    outcome=Outcome.COMPLETE,
    started_s=0.0,
    duration_s=1.0,
    attempts=1,
)


def record(**changes: Any) -> UsageRecord:
    return replace(_RECORD, **changes)
