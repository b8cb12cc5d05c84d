"""Limits at the edge: refuses in the client's words, reserves before a request and says what it
cost behind it.
"""

from math import ceil

from serving.context import CAUTIOUS_FACTS, token_range
from serving.errors import ApiError, Refusal
from serving.gateway.refusal import overloaded
from serving.gateway.sse import Tokens
from serving.limits.account import Account, Exceeded, Hold, Limit, first_exceeded
from serving.limits.gate import Gate
from serving.money import shown
from serving.protocol import Checked
from serving.protocol.fast import FastChat
from serving.routing.prefix import BYTES_PER_TOKEN
from serving.snapshot import TokenFacts

#: What of an answer is reserved at first, of each sequence.
ANSWER_TOKENS = 1_024


def reserve(
    gate: Gate, accounts: tuple[Account, ...], checked: Checked, facts: TokenFacts | None
) -> Hold:
    """Counts the request and holds the tokens that it may cost. Raises ApiError."""
    if not gate.has_lease and not all(each.limits.is_of_month_only for each in accounts):
        raise overloaded("The limits of this key cannot be checked at present.")
    exceeded = first_exceeded(accounts)
    if exceeded is not None:
        raise refused(exceeded)
    answer = min(checked.max_tokens or ANSWER_TOKENS, ANSWER_TOKENS) * checked.n
    return Hold(accounts, prompt_bound(checked, facts), answer * checked.prompts)


def prompt_bound(checked: Checked, facts: TokenFacts | None) -> int:
    """Tokens of all prompts of the request, at most."""
    known, payload = facts or CAUTIOUS_FACTS, checked.payload
    if isinstance(payload, dict) and checked.is_chat:
        return token_range(checked.size(), facts).most  # tools grow in the template
    messages = len(payload.messages) if isinstance(payload, FastChat) else 0
    overhead = checked.prompts * known.request_overhead_tokens
    return checked.body_bytes + overhead + messages * known.message_overhead_tokens


def cost(hold: Hold, tokens: Tokens | None, is_stream: bool, is_abandoned: bool) -> int:
    """Tokens that a request has cost; without `tokens` it never reached an engine.

    Where the engine has not counted, the events of a stream do. A whole reply that nobody waited
    for shows nothing: its reservation stands.
    """
    if tokens is None:
        return 0
    made = tokens.completion_tokens or 0
    if tokens.prompt_tokens:
        return tokens.prompt_tokens + made
    if is_stream:
        return hold.prompt_tokens // BYTES_PER_TOKEN + made
    return hold.tokens if is_abandoned else 0


def refused(exceeded: Exceeded) -> ApiError:
    whose = " of all keys of this tenant" if exceeded.is_tenants else ""
    if exceeded.limit is Limit.MONTH:
        message = f"The {exceeded.most} tokens{whose} for this month are used up."
        return ApiError(Refusal.INSUFFICIENT_QUOTA, message)
    if exceeded.limit is Limit.BUDGET:
        message = f"The budget of {shown(exceeded.most)}{whose} for this month is used up."
        return ApiError(Refusal.INSUFFICIENT_QUOTA, message)
    seconds = ceil(exceeded.retry_after_s)
    message = f"The limit of {exceeded.most} {exceeded.limit}{whose} is reached."
    return ApiError(Refusal.RATE_LIMIT_EXCEEDED, message, retry_after_s=max(1, seconds))
