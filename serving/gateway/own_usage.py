"""What a caller is told of the usage of the own key: the ledger's numbers of this month, with their
age. Gateways have them from the Controller, so asking costs nobody anything.
"""

from datetime import UTC, datetime
from typing import Literal

import msgspec

from serving.snapshot import UsageReport


class ModelUsage(msgspec.Struct, frozen=True):
    """Of one model."""

    model: str
    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    total_tokens: int


class Usage(msgspec.Struct, frozen=True):
    """The body of `GET /v1/usage`."""

    #: `2026-11`.
    month: str
    #: When the ledger was asked last.
    as_of: str
    requests: int
    total_tokens: int
    models: tuple[ModelUsage, ...]
    object: Literal["usage"] = "usage"


def own_usage(report: UsageReport, key_id: str) -> bytes:
    """The body of `GET /v1/usage`; a month without usage has no models."""
    models = tuple(
        ModelUsage(
            model=usage.model,
            requests=usage.requests,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            completion_tokens=usage.completion_tokens,
            total_tokens=usage.prompt_tokens + usage.completion_tokens,
        )
        for usage in report.keys
        if usage.key_id == key_id
    )
    return msgspec.json.encode(
        Usage(
            month=report.month,
            as_of=f"{datetime.fromtimestamp(report.as_of_s, UTC):%Y-%m-%dT%H:%M:%SZ}",
            requests=sum(usage.requests for usage in models),
            total_tokens=sum(usage.total_tokens for usage in models),
            models=models,
        )
    )
