"""What a caller is told of the usage of the own key: the ledger's numbers of this month, with their
age. Gateways have them from the Controller, so asking costs nobody anything.
"""

from datetime import UTC, datetime
from typing import Literal

import msgspec

from serving import money
from serving.snapshot import KeyUsage, UsageReport


class ModelUsage(msgspec.Struct, frozen=True):
    """Of one model."""

    model: str
    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    total_tokens: int
    #: In the operator's currency; not there where the model had no price.
    cost: str | msgspec.UnsetType = msgspec.UNSET


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
    cost: str | msgspec.UnsetType = msgspec.UNSET


def own_usage(report: UsageReport, key_id: str) -> bytes:
    """The body of `GET /v1/usage`; a month without usage has no models."""
    own = [usage for usage in report.keys if usage.key_id == key_id]
    models = tuple(map(_of_model, own))
    return msgspec.json.encode(
        Usage(
            month=report.month,
            as_of=f"{datetime.fromtimestamp(report.as_of_s, UTC):%Y-%m-%dT%H:%M:%SZ}",
            requests=sum(usage.requests for usage in models),
            total_tokens=sum(usage.total_tokens for usage in models),
            models=models,
            cost=_cost(sum(usage.nanos for usage in own)),
        )
    )


def _of_model(usage: KeyUsage) -> ModelUsage:
    return ModelUsage(
        model=usage.model,
        requests=usage.requests,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
        cost=_cost(usage.nanos),
    )


def _cost(nanos: int) -> str | msgspec.UnsetType:
    return money.shown(nanos) if nanos else msgspec.UNSET
