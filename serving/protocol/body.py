"""A body, checked: what the gateway needs to know of it, and what the engine gets."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from serving.context import Size
from serving.errors import FieldError
from serving.protocol import canonical
from serving.protocol.check import Json, invalid
from serving.protocol.fast import (
    FastChat,
    FastCompletion,
    StreamOptions,
    read_chat,
    read_completion,
)
from serving.protocol.field import BENCHMARK_CHAT, BENCHMARK_COMPLETION, CHAT, COMPLETION
from serving.protocol.kind import Record
from serving.protocol.size import size_of
from serving.protocol.syntax import decode

_encode = msgspec.json.Encoder().encode
_USAGE = StreamOptions(include_usage=True)


@dataclass(slots=True)
class Checked:
    """A request that is right in itself; whether model and window suit is still to be seen."""

    model: str
    is_chat: bool
    streams: bool
    wants_usage: bool
    wants_logprobs: bool
    n: int
    #: Tokens asked for; None for as many as fit.
    max_tokens: int | None
    #: Bytes of the body as it came.
    body_bytes: int
    payload: FastChat | FastCompletion | Json = field(repr=False)
    #: Tokens that the answer has at least.
    min_tokens: int = 0

    def encode(self, served_name: str, max_tokens: int | None, cache_salt: str = "") -> bytes:
        """The engine's body; `max_tokens` stands in where the caller named none. `cache_salt` is
        ours: no body that was checked has one.
        """
        payload = self.payload
        if isinstance(payload, dict):
            payload["model"] = served_name
            if max_tokens is not None:
                payload["max_tokens"] = max_tokens
        else:
            payload.model = served_name
            if max_tokens is not None:
                payload.max_tokens = max_tokens
        body = _encode(payload)
        return b'%b,"cache_salt":"%b"}' % (body[:-1], cache_salt.encode()) if cache_salt else body

    def plain(self) -> Json:
        """The payload as JSON objects, for a token count."""
        plain: Json = msgspec.to_builtins(self.payload)
        return plain

    @property
    def prompts(self) -> int:
        """More than one only of a completion; each is answered `n` times."""
        prompt = self.payload.get("prompt") if isinstance(self.payload, dict) else None
        return len(prompt) if isinstance(prompt, list) and not isinstance(prompt[0], int) else 1

    def size(self) -> Size:
        return size_of(self.plain())

    def prompt_bytes(self) -> bytes:
        """The prompt in the order in which the engine sees it."""
        return canonical.prompt_bytes(self.payload)


def check_chat(body: bytes, may_ignore_eos: bool = False) -> Checked:
    fast = read_chat(body)
    if fast is not None:
        return _from_fast(fast, len(body), True)
    fields = _check(decode(body), BENCHMARK_CHAT if may_ignore_eos else CHAT)
    _check_tool_fields(fields)
    if fields.get("top_logprobs") is not None and not fields.get("logprobs"):
        raise invalid("top_logprobs", "goes with 'logprobs': true only")
    return _from_fields(fields, len(body), True)


def check_completion(body: bytes, may_ignore_eos: bool = False) -> Checked:
    fast = read_completion(body)
    if fast is not None:
        return _from_fast(fast, len(body), False)
    given = decode(body)
    fields = _check(given, BENCHMARK_COMPLETION if may_ignore_eos else COMPLETION)
    if given.get("best_of") is not None and fields.get("n", 1) > 1:
        raise invalid("best_of", "is below 'n'")
    return _from_fields(fields, len(body), False)


def _from_fast(fast: FastChat | FastCompletion, body_bytes: int, is_chat: bool) -> Checked:
    max_tokens = fast.max_tokens
    if isinstance(fast, FastChat) and fast.max_completion_tokens is not None:
        max_tokens = _same(max_tokens, fast.max_completion_tokens)
    streams, options = bool(fast.stream), fast.stream_options
    if options is not None and not streams:
        raise _options_without_stream()
    fast.user = None
    fast.stream_options = _USAGE if streams else None
    wants_usage = options is not None and bool(options.include_usage)
    return Checked(
        fast.model, is_chat, streams, wants_usage, False, fast.n or 1, max_tokens, body_bytes, fast
    )


def _check(body: Any, shape: Record) -> Json:
    """Every field in its class; those without effect are gone from the result."""
    if not isinstance(body, dict):
        raise FieldError("The body must be a JSON object.", None, "invalid_type")
    return shape(body, "")


def _from_fields(fields: Json, body_bytes: int, is_chat: bool) -> Checked:
    max_tokens = fields.get("max_tokens")
    if "max_completion_tokens" in fields:
        max_tokens = _same(max_tokens, fields["max_completion_tokens"])
    min_tokens = fields.get("min_tokens", 0)
    if max_tokens is not None and min_tokens > max_tokens:
        raise invalid("min_tokens", "is above the most tokens asked for")
    streams, options = fields.get("stream", False), fields.pop("stream_options", None)
    if options is not None and not streams:
        raise _options_without_stream()
    if streams:
        fields["stream_options"] = {"include_usage": True}
    return Checked(
        model=fields["model"],
        is_chat=is_chat,
        streams=streams,
        wants_usage=bool(options and options.get("include_usage")),
        wants_logprobs=bool(fields.get("logprobs")),
        n=fields.get("n", 1),
        max_tokens=max_tokens,
        min_tokens=min_tokens,
        body_bytes=body_bytes,
        payload=fields,
    )


def _check_tool_fields(fields: Json) -> None:
    has_tools = "tools" in fields
    if not has_tools:
        fields.pop("parallel_tool_calls", None)
    choice = fields.get("tool_choice")
    if choice is None or choice == "none":
        return
    if not has_tools:
        raise invalid("tool_choice", "goes with 'tools' only")
    if isinstance(choice, dict):
        name = choice["function"]["name"]
        if all(tool["function"]["name"] != name for tool in fields["tools"]):
            raise invalid("tool_choice.function.name", "names none of the tools")


def _same(max_tokens: int | None, max_completion_tokens: int) -> int:
    if max_tokens is not None and max_tokens != max_completion_tokens:
        raise invalid("max_tokens", "differs from 'max_completion_tokens'; send one of them")
    return max_completion_tokens


def _options_without_stream() -> FieldError:
    return invalid("stream_options", "goes with 'stream': true only")
