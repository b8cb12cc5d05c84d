"""Measures on a replica's own tokenizer what bounds a request's tokens without counting them."""

from collections.abc import Sequence
from typing import Any

from serving.snapshot import TokenFacts

#: For what a template may add with the day, such as a longer date.
SLACK_TOKENS = 8
_PROBES: Sequence[Sequence[str]] = (
    ("user",),
    ("system", "user"),
    ("user", "assistant", "user"),
    ("system", "user", "assistant", "user"),
)


def token_facts(tokenizer: Any) -> TokenFacts | None:
    """Facts of a Hugging Face tokenizer; None where its template will not render plain messages."""
    counts = {}
    for roles in _PROBES:
        count = _rendered_tokens(tokenizer, roles)
        if count is not None:
            counts[len(roles)] = count
    if len(counts) < 2:
        return None
    fewest, most = min(counts), max(counts)
    message = -(-(counts[most] - counts[fewest]) // (most - fewest))
    # Whatever one message costs beyond its share belongs to the request.
    request = max(count - size * message for size, count in counts.items())
    return TokenFacts(
        request_overhead_tokens=max(0, request) + SLACK_TOKENS,
        message_overhead_tokens=message + 1,
        longest_token_bytes=max(len(token.encode()) for token in tokenizer.get_vocab()),
    )


def _rendered_tokens(tokenizer: Any, roles: Sequence[str]) -> int | None:
    messages = [{"role": role, "content": "a"} for role in roles]
    try:
        text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    except Exception:  # noqa: BLE001 - a template is the model's own code and may raise anything
        return None
    return len(tokenizer.encode(text, add_special_tokens=False))
