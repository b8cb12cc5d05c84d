"""What fake upstreams say: vLLM 0.32's replies in shape, built once and sent many times.

No clock and no sockets here. A reply carries WORD once for each token, CHUNKS times where nothing
else is said, so whoever reads it can tell a whole reply from a cut one without parsing it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

CHUNKS = 50
WORD = " tok"
DONE = b"data: [DONE]\n\n"

_HEX = "0123456789abcdef" * 2
_CREATED = 1_760_000_000
_PROMPT_TOKENS = 44
_USAGE = {
    "prompt_tokens": _PROMPT_TOKENS,
    "total_tokens": _PROMPT_TOKENS + CHUNKS,
    "completion_tokens": CHUNKS,
}
_NO_DETAILS = {"prompt_tokens_details": None, "completion_tokens_details": None}
_FINGERPRINT = "vllm-0.32.0-1a2b3c4d"


def chat_reply(model: str) -> bytes:
    """A whole chat completion, with the keys only vLLM sends."""
    message = {
        "role": "assistant",
        "content": WORD * CHUNKS,
        "refusal": None,
        "annotations": None,
        "audio": None,
        "function_call": None,
        "reasoning": None,
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    choice |= {"stop_reason": None, "token_ids": None, "routed_experts": None}
    own = dict.fromkeys(("prompt_logprobs", "prompt_token_ids", "prompt_text"))
    return _json(_reply(f"chatcmpl-{_HEX}", "chat.completion", model, choice) | own | _transfer())


def text_reply(model: str) -> bytes:
    """A whole text completion, with the keys only vLLM sends."""
    choice = {"index": 0, "text": WORD * CHUNKS, "logprobs": None, "finish_reason": "stop"}
    choice |= dict.fromkeys(
        ("stop_reason", "token_ids", "prompt_logprobs", "prompt_token_ids", "routed_experts")
    )
    return _json(_reply(f"cmpl-{_HEX}", "text_completion", model, choice) | _transfer())


def chat_events(model: str, *, with_usage: bool) -> tuple[bytes, ...]:
    """The server-sent events of a streamed chat: role, tokens, finish, usage when asked, done."""
    frame = _frame(f"chatcmpl-{_HEX}", "chat.completion.chunk", model)
    role = {"index": 0, "delta": {"role": "assistant", "content": ""}}
    role |= {"logprobs": None, "finish_reason": None}
    token = {"index": 0, "delta": {"content": WORD}, "logprobs": None}
    token |= {"finish_reason": None, "token_ids": None}
    last = {"index": 0, "delta": {"content": ""}, "logprobs": None}
    last |= {"finish_reason": "stop", "stop_reason": None, "token_ids": None}
    return tuple(_events(frame, (role, *[token] * CHUNKS, last), with_usage=with_usage))


def text_events(model: str, *, with_usage: bool) -> tuple[bytes, ...]:
    """The server-sent events of a streamed text completion."""
    frame = _frame(f"cmpl-{_HEX}", "text_completion", model)
    rest = {"logprobs": None, "finish_reason": None, "stop_reason": None}
    rest |= {"prompt_token_ids": None, "token_ids": None}
    token = {"index": 0, "text": WORD} | rest
    last = {"index": 0, "text": ""} | rest | {"finish_reason": "length"}
    return tuple(_events(frame, (*[token] * CHUNKS, last), with_usage=with_usage))


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of one reply, as its `usage` tells them."""

    prompt_tokens: int
    cached_tokens: int
    output_tokens: int

    def as_json(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "total_tokens": self.prompt_tokens + self.output_tokens,
            "completion_tokens": self.output_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
        }


@dataclass(frozen=True)
class Wording:
    """One model's replies of any length, on one of the two routes."""

    model: str
    is_chat: bool

    def whole(self, usage: Usage) -> bytes:
        plain = json.loads((chat_reply if self.is_chat else text_reply)(self.model))
        words, choice = WORD * usage.output_tokens, plain["choices"][0]
        if self.is_chat:
            choice["message"]["content"] = words
        else:
            choice["text"] = words
        choice["finish_reason"] = "length"
        return _json(plain | {"usage": usage.as_json() | {"completion_tokens_details": None}})

    def opening(self) -> bytes:
        """What comes right before the first token; a text completion needs nothing."""
        if not self.is_chat:
            return b""
        role = {"index": 0, "delta": {"role": "assistant", "content": ""}}
        return self._event(role | {"logprobs": None, "finish_reason": None})

    @lru_cache(maxsize=64)  # noqa: B019 - two wordings a process
    def piece(self, tokens: int) -> bytes:
        """The event that carries so many tokens."""
        return self._event(self._choice(WORD * tokens) | {"finish_reason": None})

    def ending(self, usage: Usage | None) -> bytes:
        """The reason, the usage if it was asked for, and the end."""
        last = self._choice("") | {"finish_reason": "length", "stop_reason": None}
        counted = b"" if usage is None else self._usage_event(usage)
        return self._event(last) + counted + DONE

    def _choice(self, words: str) -> dict[str, Any]:
        said = {"delta": {"content": words}} if self.is_chat else {"text": words}
        return {"index": 0} | said | {"logprobs": None, "token_ids": None}

    def _usage_event(self, usage: Usage) -> bytes:
        tail = {"choices": [], "usage": usage.as_json(), "system_fingerprint": _FINGERPRINT}
        return _event(self._frame() | tail)

    def _event(self, choice: Mapping[str, Any]) -> bytes:
        return _event(self._frame() | {"choices": [choice]})

    def _frame(self) -> dict[str, Any]:
        if self.is_chat:
            return _frame(f"chatcmpl-{_HEX}", "chat.completion.chunk", self.model)
        return _frame(f"cmpl-{_HEX}", "text_completion", self.model)


def model_list(model: str) -> bytes:
    card = {"id": model, "object": "model", "created": _CREATED, "owned_by": "vllm"}
    card |= {"root": model, "parent": None, "max_model_len": 131_072, "permission": []}
    return _json({"object": "list", "data": [card]})


def _reply(reply_id: str, kind: str, model: str, choice: Mapping[str, Any]) -> dict[str, Any]:
    head = {"id": reply_id, "object": kind, "created": _CREATED, "model": model}
    tail = {"service_tier": None, "system_fingerprint": _FINGERPRINT, "usage": _USAGE | _NO_DETAILS}
    return head | {"choices": [choice]} | tail


def _transfer() -> dict[str, None]:
    return dict.fromkeys(("kv_transfer_params", "ec_transfer_params", "metrics"))


def _frame(reply_id: str, kind: str, model: str) -> dict[str, Any]:
    return {"id": reply_id, "object": kind, "created": _CREATED, "model": model}


def _events(
    frame: Mapping[str, Any], choices: tuple[Mapping[str, Any], ...], *, with_usage: bool
) -> Iterator[bytes]:
    for choice in choices:
        yield _event(dict(frame) | {"choices": [choice]})
    if with_usage:
        usage = {"choices": [], "usage": _USAGE, "system_fingerprint": _FINGERPRINT}
        yield _event(dict(frame) | usage)
    yield DONE


def _event(value: Mapping[str, Any]) -> bytes:
    return b"data: " + _json(value) + b"\n\n"


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
