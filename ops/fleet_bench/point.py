"""One point of a sweep: so many clients at once, and what they saw. Pure.

A reply counts when it has every token that was asked for: the tool itself also counts one that
broke off after its first token.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ops.bench.stats import percentile

_MS = 1_000


@dataclass(frozen=True, slots=True)
class Point:
    """Times in milliseconds."""

    clients: int
    requests: int
    #: Refused, or without a token.
    failed: int
    #: Tokens that whole replies would have had, and that did not come.
    missing_tokens: int
    requests_per_s: float
    answer_tokens_per_s: float
    #: Of a prompt, by the engine's own count.
    prompt_tokens: float
    first_token_p50_ms: float
    first_token_p99_ms: float
    #: Between two tokens.
    next_token_p50_ms: float
    next_token_p99_ms: float
    whole_p50_ms: float
    whole_p99_ms: float

    @property
    def is_whole(self) -> bool:
        return not self.failed and not self.missing_tokens


def point_of(clients: int, answer_tokens: int, found: Mapping[str, Any]) -> Point:
    """From the result that `vllm bench serve` saves. Raises KeyError, TypeError."""
    done, failed = int(found["completed"]), int(found["failed"])
    # Its own percentiles of these it leaves out where there is no tokenizer.
    came = [(ttft, itls) for ttft, itls in zip(found["ttfts"], found["itls"], strict=True) if ttft]
    first = [ttft * _MS for ttft, _ in came]
    following = [itl * _MS for _, itls in came for itl in itls]
    whole = [(ttft + sum(itls)) * _MS for ttft, itls in came]
    return Point(
        clients=clients,
        requests=done + failed,
        failed=failed,
        missing_tokens=max(done * answer_tokens - int(found["total_output_tokens"]), 0),
        requests_per_s=float(found["request_throughput"]),
        answer_tokens_per_s=float(found["output_throughput"]),
        prompt_tokens=int(found["total_input_tokens"]) / done if done else 0.0,
        first_token_p50_ms=percentile(first, 0.5),
        first_token_p99_ms=percentile(first, 0.99),
        next_token_p50_ms=percentile(following, 0.5),
        next_token_p99_ms=percentile(following, 0.99),
        whole_p50_ms=percentile(whole, 0.5),
        whole_p99_ms=percentile(whole, 0.99),
    )


def point_from(saved: Mapping[str, Any]) -> Point:
    """What `asdict` gave. Raises KeyError, TypeError."""
    return Point(**{each.name: saved[each.name] for each in fields(Point)})
