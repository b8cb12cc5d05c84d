"""Plays a trace on a running endpoint: every request when it is due, whatever became of those
before it.

Rules
- A reply's time runs from the moment it was due, so a client that is late flatters nobody.
- Nothing is asked twice; what is refused or breaks off is counted by its reason and has no times.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from deployments.simulation.trace import Arrival, Trace
from ops.bench.stats import percentile
from ops.endpoint import Address
from ops.endpoint_client import EndpointClient
from ops.errors import OpsError
from ops.fleet_bench.trace_prompt import trace_prompt

#: Of a reason that is counted.
REASON_CHARS = 120


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; seconds since it was due."""

    first_s: float
    whole_s: float
    prompt_tokens: int
    answer_tokens: int


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a trace."""

    requests: int
    whole: int
    #: How many failed, by their reason.
    failed: dict[str, int]
    elapsed_s: float
    requests_per_s: float
    prompt_tokens: int
    answer_tokens: int
    answer_tokens_per_s: float
    first_token_p50_s: float
    first_token_p90_s: float
    first_token_p99_s: float
    whole_p50_s: float
    whole_p99_s: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


async def play(address: Address, key: str, trace: Trace, speed: float) -> Played:
    """All of it, `speed` times as fast as it was."""
    loop = asyncio.get_running_loop()
    began_s, first_s = loop.time(), trace.arrivals[0].at_s
    async with EndpointClient(address, key) as client:

        async def one(number: int, arrival: Arrival) -> Reply | str:
            due_s = began_s + (arrival.at_s - first_s) / speed
            await asyncio.sleep(due_s - loop.time())
            return await _asked(
                client, arrival, trace_prompt(arrival, trace.block_tokens, number), due_s
            )

        replies = await asyncio.gather(*(one(*each) for each in enumerate(trace.arrivals)))
    return _summed(replies, loop.time() - began_s)


async def _asked(
    client: EndpointClient, arrival: Arrival, prompt: str, due_s: float
) -> Reply | str:
    """The reply, or why there is none."""
    tokens = {"max_tokens": arrival.output_tokens, "min_tokens": arrival.output_tokens}
    answer = client.ask(arrival.model, [{"role": "user", "content": prompt}], **tokens)
    now_s, first_s = asyncio.get_running_loop().time, None
    try:
        async for _ in answer:
            first_s = first_s or now_s() - due_s
    except OpsError as error:
        return str(error)[:REASON_CHARS]
    if first_s is None or answer.usage is None:
        return "an answer without a token"
    used = answer.usage
    return Reply(first_s, now_s() - due_s, used["prompt_tokens"], used["completion_tokens"])


def _summed(replies: Sequence[Reply | str], elapsed_s: float) -> Played:
    whole = [each for each in replies if isinstance(each, Reply)]
    first_s, whole_s = [each.first_s for each in whole], [each.whole_s for each in whole]
    answer_tokens = sum(each.answer_tokens for each in whole)
    return Played(
        requests=len(replies),
        whole=len(whole),
        failed=dict(Counter(each for each in replies if isinstance(each, str))),
        elapsed_s=elapsed_s,
        requests_per_s=len(whole) / elapsed_s,
        prompt_tokens=sum(each.prompt_tokens for each in whole),
        answer_tokens=answer_tokens,
        answer_tokens_per_s=answer_tokens / elapsed_s,
        first_token_p50_s=percentile(first_s, 0.5),
        first_token_p90_s=percentile(first_s, 0.9),
        first_token_p99_s=percentile(first_s, 0.99),
        whole_p50_s=percentile(whole_s, 0.5),
        whole_p99_s=percentile(whole_s, 0.99),
    )
