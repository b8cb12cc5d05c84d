"""What a caller is told of the usage of the own key: the ledger's numbers of this month, with their
age. Gateways have them from the Controller, so asking costs nobody anything.
"""

from datetime import UTC, datetime

import msgspec

from serving.snapshot import UsageReport


def own_usage(report: UsageReport, key_id: str) -> bytes:
    """The body of `GET /v1/usage`; a month without usage has no models."""
    own = [usage for usage in report.keys if usage.key_id == key_id]
    models = [
        {
            "model": usage.model,
            "requests": usage.requests,
            "prompt_tokens": usage.prompt_tokens,
            "cached_tokens": usage.cached_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        }
        for usage in own
    ]
    body = {
        "object": "usage",
        "month": report.month,
        "as_of": f"{datetime.fromtimestamp(report.as_of_s, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "requests": sum(usage.requests for usage in own),
        "total_tokens": sum(usage.prompt_tokens + usage.completion_tokens for usage in own),
        "models": models,
    }
    return msgspec.json.encode(body)
