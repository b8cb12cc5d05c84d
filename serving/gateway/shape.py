"""A whole reply of the engine in the shape of the seed's page: its keys, in its order, and no
others.

One set of types reads and writes: a struct is decoded by name and encoded in the order of its
fields, and what the engine says beyond them is dropped. `UNSET` fields appear only when the client
asked for them.
"""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from serving.gateway.sse import PromptDetails, Tokens


class Usage(msgspec.Struct):
    completion_tokens: int
    prompt_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails | UnsetType | None = UNSET


class ChatMessage(msgspec.Struct):
    content: str | None = None
    role: str = "assistant"
    tool_calls: list[Any] | None = None
    function_call: None = None
    refusal: str | UnsetType | None = UNSET
    reasoning: str | UnsetType | None = UNSET


class ChatChoice(msgspec.Struct):
    finish_reason: str | None
    index: int
    message: ChatMessage
    logprobs: Any = UNSET


class ChatReply(msgspec.Struct):
    id: str
    choices: list[ChatChoice]
    created: int
    model: str
    object: str
    system_fingerprint: str | None = None
    usage: Usage | None = None
    service_tier: None = None


class TextChoice(msgspec.Struct):
    stop_reason: int | str | None = None
    finish_reason: str | None = None
    index: int = 0
    text: str = ""
    logprobs: Any = None


class TextReply(msgspec.Struct):
    id: str
    object: str
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage | None = None
    system_fingerprint: str | None = None


_chat = msgspec.json.Decoder(ChatReply)
_text = msgspec.json.Decoder(TextReply)
_encode = msgspec.json.Encoder().encode


def chat(reply: bytes, request_id: str, model: str, wants_logprobs: bool) -> tuple[bytes, Tokens]:
    """Raises msgspec.MsgspecError (or UnicodeDecodeError) when the engine's reply is none."""
    shaped = _chat.decode(reply)
    shaped.id = "chat-" + request_id
    shaped.model = model
    shaped.system_fingerprint = None
    for choice in shaped.choices:
        _trim(choice, wants_logprobs)
    tokens = _settle(shaped.usage)
    return _encode(shaped), tokens


def _trim(choice: ChatChoice, wants_logprobs: bool) -> None:
    if not wants_logprobs:
        choice.logprobs = UNSET
    message = choice.message
    if message.refusal is None:
        message.refusal = UNSET
    if message.reasoning is None:
        message.reasoning = UNSET
    if not message.tool_calls:
        message.tool_calls = None


def text(reply: bytes, request_id: str, model: str) -> tuple[bytes, Tokens]:
    shaped = _text.decode(reply)
    shaped.id = "cmpl-" + request_id
    shaped.model = model
    shaped.system_fingerprint = None
    tokens = _settle(shaped.usage)
    return _encode(shaped), tokens


def _settle(usage: Usage | None) -> Tokens:
    """The numbers for the record; the details of them stay out of the reply."""
    if usage is None:
        return Tokens()
    details, usage.prompt_tokens_details = usage.prompt_tokens_details, UNSET
    return Tokens(usage.prompt_tokens, usage.completion_tokens, details or None)


def fallback_header(asked: str, answered: str) -> bytes:
    """The line that says who answers instead."""
    return b"x-flotilla-fallback: %b -> %b\r\n" % (asked.encode(), answered.encode())
