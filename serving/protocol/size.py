"""How large a prompt can be in tokens, judged by its bytes. See context.py for what is done with
it.
"""

from typing import Any

import msgspec

from serving.context import Size
from serving.protocol.check import Json

#: Templates print tools and their calls as indented, escaped JSON.
_TOOL_FACTOR = 4

_encode = msgspec.json.Encoder().encode


def size_of(payload: Json) -> Size:
    return _chat(payload) if "messages" in payload else _prompt(payload["prompt"])


def _chat(payload: Json) -> Size:
    messages = payload["messages"]
    most = least = 0
    for message in messages:
        least += _text_bytes(message.get("content"))
        most += _most_bytes(message)
    if "tools" in payload:
        most += _TOOL_FACTOR * len(_encode(payload["tools"]))
    return Size(most, least, len(messages))


def _most_bytes(message: Json) -> int:
    text = _text_bytes(message.get("content"))
    rest = {k: v for k, v in message.items() if k not in ("content", "role")}
    parts = message.get("content")
    joints = 2 * len(parts) if isinstance(parts, list) else 0
    return text + joints + (_TOOL_FACTOR * len(_encode(rest)) if rest else 0)


def _text_bytes(content: Any) -> int:
    if isinstance(content, str):
        return len(content.encode())
    return sum(len(part["text"].encode()) for part in content or ())


def _prompt(prompt: Any) -> Size:
    if isinstance(prompt, str):
        length = len(prompt.encode())
        return Size(length, length, 0)
    if isinstance(prompt[0], int):
        return Size(0, 0, 0, ids=len(prompt))
    if isinstance(prompt[0], str):
        length = max(len(p.encode()) for p in prompt)
        return Size(length, length, 0)
    return Size(0, 0, 0, ids=max(len(p) for p in prompt))
