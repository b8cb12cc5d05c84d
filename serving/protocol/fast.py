"""The common shape of both bodies as structs: one pass decodes, checks and bounds it.

A body that does not fit here is not wrong yet: the slow path decides, and names what is.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from serving import bounds

Name = Annotated[str, Meta(min_length=1, max_length=bounds.MODEL_NAME_CHARS)]
Tokens = Annotated[int, Meta(ge=1, le=bounds.TOKENS)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Stop = Annotated[str, Meta(min_length=1, max_length=bounds.STOP_CHARS)]


class Strict(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    def __repr__(self) -> str:
        """Without its fields: they hold prompts."""
        return f"{type(self).__name__}()"


class StreamOptions(Strict):
    include_usage: bool | None = None


class FastMessage(Strict):
    role: Literal["system", "developer", "user", "assistant"]
    content: str


class Fast(Strict, kw_only=True):
    """What both routes share."""

    model: Name
    max_tokens: Tokens | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=bounds.N)] | None = None
    stop: Stop | Annotated[list[Stop], Meta(max_length=bounds.STOPS)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: Annotated[str, Meta(max_length=bounds.IGNORED_CHARS)] | None = None


class FastChat(Fast, kw_only=True):
    messages: Annotated[list[FastMessage], Meta(min_length=1, max_length=bounds.MESSAGES)]
    max_completion_tokens: Tokens | None = None


class FastCompletion(Fast, kw_only=True):
    prompt: Annotated[str, Meta(min_length=1)]


_chat = msgspec.json.Decoder(FastChat).decode
_completion = msgspec.json.Decoder(FastCompletion).decode


def read_chat(body: bytes) -> FastChat | None:
    try:
        return _chat(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def read_completion(body: bytes) -> FastCompletion | None:
    try:
        return _completion(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
