"""The messages of a chat, as plain JSON: roles, text, tool calls and their answers. No media."""

from typing import Any

from serving import bounds
from serving.errors import FieldError
from serving.protocol.check import (
    Json,
    array,
    invalid,
    missing,
    needed,
    one_of,
    only,
    record,
    text,
    unsupported,
    wrong_type,
)
from serving.protocol.syntax import decode

_FIELDS = {
    "system": ("role", "content", "name"),
    "developer": ("role", "content", "name"),
    "user": ("role", "content", "name"),
    "assistant": ("role", "content", "name", "refusal", "tool_calls", "audio", "function_call"),
    "tool": ("role", "content", "tool_call_id"),
}
_MEDIA = frozenset(
    (
        "image_url",
        "input_audio",
        "file",
        "video_url",
        "audio_url",
        "image_embeds",
        "audio_embeds",
        "image_pil",
    )
)
_ALL_TEXT = bounds.BODY_BYTES


def check_messages(value: Any, path: str) -> list[Json]:
    messages = array(value, path, most=bounds.MESSAGES, least=1)
    calls: set[str] = set()
    return [_message(m, f"{path}[{i}]", calls) for i, m in enumerate(messages)]


def _message(value: Any, path: str, calls: set[str]) -> Json:
    fields = record(value, path)
    role = needed({k: v for k, v in fields.items() if v is not None}, "role", path)
    role_path = f"{path}.role"
    if role == "function":
        raise invalid(role_path, "is the retired role 'function'; send tools and role 'tool'")
    known = _FIELDS[one_of(role, role_path, _FIELDS)]
    fields = only(fields, path, known)
    if "name" in fields:
        text(fields["name"], f"{path}.name", most=bounds.NAME_CHARS)
    return _ROLES.get(role, _plain)(fields, path, calls)


def _plain(fields: Json, path: str, calls: set[str]) -> Json:
    fields["content"] = _content(needed(fields, "content", path), f"{path}.content")
    return fields


def _assistant(fields: Json, path: str, calls: set[str]) -> Json:
    for name in ("audio", "function_call"):
        if name in fields:
            raise unsupported(f"{path}.{name}")
    fields.pop("refusal", None)
    if "tool_calls" in fields:
        fields["tool_calls"] = _tool_calls(fields["tool_calls"], f"{path}.tool_calls", calls)
    elif "content" not in fields:
        raise missing(f"{path}.content")
    if "content" in fields:
        fields["content"] = _content(fields["content"], f"{path}.content")
    return fields


def _tool(fields: Json, path: str, calls: set[str]) -> Json:
    at = f"{path}.tool_call_id"
    call = text(needed(fields, "tool_call_id", path), at, most=bounds.MODEL_NAME_CHARS, least=1)
    if call not in calls:
        raise invalid(at, "names no tool call of an earlier message")
    return _plain(fields, path, calls)


_ROLES = {"assistant": _assistant, "tool": _tool}


def _content(value: Any, path: str) -> str | list[Json]:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise wrong_type(path, "a string or a list of parts")
    parts = array(value, path, most=bounds.MESSAGES, least=1)
    return [_part(part, f"{path}[{index}]") for index, part in enumerate(parts)]


def _part(value: Any, path: str) -> Json:
    fields = record(value, path)
    kind = needed(fields, "type", path)
    if isinstance(kind, str) and kind in _MEDIA:
        raise unsupported(f"{path}.type")
    one_of(kind, f"{path}.type", ("text",))
    only(fields, path, ("type", "text"))
    return {
        "type": "text",
        "text": text(needed(fields, "text", path), f"{path}.text", most=_ALL_TEXT),
    }


def _tool_calls(value: Any, path: str, calls: set[str]) -> list[Json]:
    entries = array(value, path, most=bounds.TOOLS, least=1)
    return [_tool_call(entry, f"{path}[{i}]", calls) for i, entry in enumerate(entries)]


def _tool_call(value: Any, path: str, calls: set[str]) -> Json:
    fields = only(record(value, path), path, ("id", "type", "function"))
    call = text(needed(fields, "id", path), f"{path}.id", most=bounds.MODEL_NAME_CHARS, least=1)
    one_of(fields.get("type", "function"), f"{path}.type", ("function",))
    at = f"{path}.function"
    function = only(record(needed(fields, "function", path), at), at, ("name", "arguments"))
    most = bounds.FUNCTION_NAME_CHARS
    name = text(needed(function, "name", at), f"{at}.name", most=most, least=1)
    arguments = text(needed(function, "arguments", at), f"{at}.arguments", most=_ALL_TEXT)
    _check_arguments(arguments, f"{at}.arguments")
    calls.add(call)
    return {"id": call, "type": "function", "function": {"name": name, "arguments": arguments}}


def _check_arguments(arguments: str, path: str) -> None:
    """vLLM parses them for the template: anything but an object there is an error of its own."""
    try:
        parsed = decode(arguments.encode())
    except FieldError:
        raise invalid(path, "is not JSON") from None
    if not isinstance(parsed, dict):
        raise invalid(path, "is not a JSON object")
