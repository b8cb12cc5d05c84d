"""The messages of a chat, as plain JSON: roles, text, tool calls and their answers. No media."""

from collections.abc import Mapping
from typing import Any

from serving import bounds
from serving.errors import FieldError
from serving.protocol.check import Json, invalid, missing
from serving.protocol.kind import Choice, Either, Kind, Listing, Record, Ruled, Tagged, Text
from serving.protocol.syntax import decode

_ALL_TEXT = Text(most=bounds.BODY_BYTES)
_ID = Text(most=bounds.MODEL_NAME_CHARS, least=1)
_NO_MEDIA = "send text"
_MEDIA = (
    "image_url",
    "input_audio",
    "file",
    "video_url",
    "audio_url",
    "image_embeds",
    "audio_embeds",
    "image_pil",
)

TEXT_PART = Record(
    {"type": Choice(("text",)), "text": _ALL_TEXT},
    required=("text",),
    refused=("prompt_cache_breakpoint",),
)
PART = Tagged(
    "type",
    {"text": TEXT_PART},
    refused={**dict.fromkeys(_MEDIA, _NO_MEDIA), "refusal": "send it as text"},
)
_CONTENT = Either(
    _ALL_TEXT,
    Listing(PART, most=bounds.MESSAGES, least=1),
    list,
    "a string or a list of parts",
)


def _check_arguments(arguments: str, path: str) -> None:
    """vLLM parses them for the template: anything but an object there is an error of its own."""
    try:
        parsed = decode(arguments.encode())
    except FieldError:
        raise invalid(path, "is not JSON") from None
    if not isinstance(parsed, dict):
        raise invalid(path, "is not a JSON object")


CALLED = Record(
    {
        "name": Text(most=bounds.FUNCTION_NAME_CHARS, least=1),
        "arguments": Ruled(_ALL_TEXT, _check_arguments),
    },
    required=("name", "arguments"),
)
CALL = Record(
    {"id": _ID, "type": Choice(("function",), refused=("custom",)), "function": CALLED},
    required=("id", "function"),
    refused=("custom",),
    defaults={"type": "function"},
)


def _check_assistant(message: Json, path: str) -> None:
    if "content" not in message and "tool_calls" not in message:
        raise missing(f"{path}.content")


def _role(name: str, more: Mapping[str, Kind], **classes: Any) -> Record:
    role: dict[str, Kind] = {"role": Choice((name,)), "content": _CONTENT}
    return Record({**role, **more}, **classes)


_NAME = {"name": Text(most=bounds.NAME_CHARS)}
_CALLS = {"tool_calls": Listing(CALL, most=bounds.TOOLS, least=1)}
ROLES = {
    "system": _role("system", _NAME, required=("content",)),
    "developer": _role("developer", _NAME, required=("content",)),
    "user": _role("user", _NAME, required=("content",)),
    "assistant": _role(
        "assistant",
        {**_NAME, **_CALLS},
        dropped={"refusal": _ALL_TEXT},
        refused=("audio", "function_call"),
    ),
    "tool": _role("tool", {"tool_call_id": _ID}, required=("content", "tool_call_id")),
}
MESSAGE = Tagged(
    "role",
    {**ROLES, "assistant": Ruled(ROLES["assistant"], _check_assistant)},
    refused={"function": "send 'tools' and the role 'tool'"},
)


def _check_calls(messages: list[Json], path: str) -> None:
    """An answer of a tool belongs to an earlier call; the calls of one message can be told
    apart.
    """
    known: set[str] = set()
    for index, message in enumerate(messages):
        at = f"{path}[{index}]"
        if message["role"] == "tool" and message["tool_call_id"] not in known:
            raise invalid(f"{at}.tool_call_id", "names no tool call of an earlier message")
        known |= _calls(message.get("tool_calls", ()), f"{at}.tool_calls")


def _calls(calls: list[Json], path: str) -> set[str]:
    found: set[str] = set()
    for index, call in enumerate(calls):
        if call["id"] in found:
            raise invalid(f"{path}[{index}].id", "is the id of an earlier call, too")
        found.add(call["id"])
    return found


MESSAGES = Ruled(Listing(MESSAGE, most=bounds.MESSAGES, least=1), _check_calls)
