"""Real text for the blocks of a trace: the same block is the same bytes in every run.

A token of the trace is BYTES_PER_TOKEN bytes of English words, about what a tokenizer makes of
them, so a router that cuts text and one that hashes it see the prefixes that the trace has.
"""

import json
import random
from functools import lru_cache

from ops.bench.routers.trace import BLOCK_TOKENS, Ask

BYTES_PER_TOKEN = 4
BLOCK_BYTES = BLOCK_TOKENS * BYTES_PER_TOKEN

#: 32 words of seven letters: with the space, eight bytes a word.
_VOCABULARY = """\
ability account advance balance because between billion brother
capital ceiling century chapter college command company control
council country culture decline dinners economy element evening
example factory freedom general history journal library machine"""
_WORDS = tuple(_VOCABULARY.split())
_WORDS_PER_BLOCK = BLOCK_BYTES // 8


@lru_cache(maxsize=65_536)
def block_text(block: int) -> str:
    """BLOCK_BYTES bytes of words that no other block shares."""
    words = random.Random(block).choices(_WORDS, k=_WORDS_PER_BLOCK - 1)  # noqa: S311 - a text
    # The number itself leads, so that two blocks differ from the first word on.
    return " ".join((f"{block:07d}", *words)) + " "


def text(ask: Ask) -> str:
    """The whole prompt; its last block is cut to the length that the trace gives."""
    return "".join(map(block_text, ask.blocks))[: ask.prompt_tokens * BYTES_PER_TOKEN]


def chat_body(ask: Ask, model: str) -> bytes:
    """A streamed chat with usage at its end, as OpenAI's SDK would send it."""
    value = {
        "model": model,
        "messages": [{"role": "user", "content": text(ask)}],
        "max_tokens": ask.output_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return json.dumps(value).encode()
