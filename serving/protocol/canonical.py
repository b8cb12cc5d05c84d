"""A prompt as bytes, in the order in which an engine sees it: tools, then message by message.

Not what the template makes of it. All that counts is that prompts that begin alike for the engine
begin alike here, whichever way the body was read.
"""

from array import array
from typing import Any

import msgspec

from serving.protocol.check import Json
from serving.protocol.fast import FastChat, FastCompletion

#: Between roles and texts. A text that holds one may pass for two messages, which is no harm.
_JOINT = "\0"

_encode = msgspec.json.Encoder().encode


def prompt_bytes(payload: FastChat | FastCompletion | Json) -> bytes:
    if isinstance(payload, FastChat):
        texts = [text for each in payload.messages for text in (each.role, each.content)]
        return _JOINT.join(texts).encode()
    if isinstance(payload, FastCompletion):
        return payload.prompt.encode()
    if "messages" in payload:
        return _chat(payload)
    return _prompt(payload["prompt"])


def _chat(payload: Json) -> bytes:
    texts = [_encode(payload["tools"]).decode()] if "tools" in payload else []
    for message in payload["messages"]:
        texts += [message["role"], _text(message.get("content"))]
        rest = {name: value for name, value in message.items() if name not in ("role", "content")}
        if rest:
            texts.append(_encode(rest).decode())
    return _JOINT.join(texts).encode()


def _text(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part["text"] for part in content)


def _prompt(prompt: Any) -> bytes:
    """Of several prompts the first: all of them go to one replica."""
    if isinstance(prompt, str):
        return prompt.encode()
    if isinstance(prompt[0], int):
        return array("I", prompt).tobytes()
    return _prompt(prompt[0])
