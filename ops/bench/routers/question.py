"""What an emulated engine reads in a request: how long the prompt is and which blocks it has. Pure.

A token is BYTES_PER_TOKEN bytes and a template adds none; that is the whole tokenizer. A block is
named by its text and all that stands before it, as in vLLM.
"""

from collections.abc import Iterator
from hashlib import blake2b

import msgspec

from ops.bench.routers.prompt import BLOCK_BYTES, BYTES_PER_TOKEN

#: vLLM's own, for a text completion that says nothing.
_DEFAULT_OUTPUT_TOKENS = 16


class Message(msgspec.Struct):
    content: str


class StreamOptions(msgspec.Struct):
    include_usage: bool = False


class Question(msgspec.Struct):
    """The fields that matter here; the rest is not looked at."""

    messages: list[Message] = []
    prompt: str = ""
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None

    @property
    def text(self) -> bytes:
        return (self.prompt + "\n".join(message.content for message in self.messages)).encode()

    @property
    def output_tokens(self) -> int:
        return self.max_completion_tokens or self.max_tokens or _DEFAULT_OUTPUT_TOKENS

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


def parse(body: bytes) -> Question:
    """Raises msgspec.DecodeError for a body that is none."""
    return msgspec.json.decode(body, type=Question)


def prompt_tokens(text: bytes) -> int:
    return max(1, -(-len(text) // BYTES_PER_TOKEN))


def block_keys(text: bytes) -> tuple[bytes, ...]:
    """One key for each whole block of the prompt."""
    return tuple(_keys(text))


def _keys(text: bytes) -> Iterator[bytes]:
    key = b""
    for start in range(0, len(text) - BLOCK_BYTES + 1, BLOCK_BYTES):
        key = blake2b(key + text[start : start + BLOCK_BYTES], digest_size=12).digest()
        yield key
