import msgspec
import pytest

from ops.bench.routers.prompt import BLOCK_BYTES
from ops.bench.routers.question import block_keys, parse, prompt_tokens

A, B, C = (letter * BLOCK_BYTES for letter in (b"a", b"b", b"c"))


def test_equal_starts_have_equal_keys() -> None:
    assert block_keys(A + B) == block_keys(A + B + C)[:2]


def test_a_block_after_another_text_is_another_block() -> None:
    assert block_keys(A + C)[1] != block_keys(B + C)[1]


def test_a_block_that_is_not_full_has_no_key() -> None:
    assert len(block_keys(A + B[:-1])) == 1
    assert block_keys(b"short") == ()


def test_a_prompt_of_a_text_completion_counts_like_a_message() -> None:
    chat = parse(b'{"messages":[{"role":"user","content":"four four"}],"max_tokens":3}')
    completion = parse(b'{"prompt":"four four"}')

    assert chat.text == completion.text == b"four four"
    assert prompt_tokens(chat.text) == 3
    assert (chat.output_tokens, completion.output_tokens) == (3, 16)


def test_usage_comes_only_when_asked_for() -> None:
    assert parse(b'{"stream":true,"stream_options":{"include_usage":true}}').wants_usage
    assert not parse(b'{"stream":true}').wants_usage


def test_a_body_that_is_no_json_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        parse(b"{")
