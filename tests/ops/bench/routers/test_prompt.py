import json

from hypothesis import given
from hypothesis import strategies as st

from ops.bench.routers import question
from ops.bench.routers.prompt import BLOCK_BYTES, block_text, chat_body, text
from ops.bench.routers.trace import Ask


def ask(tokens: int, *blocks: int) -> Ask:
    return Ask(0.0, tokens, 10, blocks)


def test_a_block_is_the_same_bytes_every_time_and_no_other_blocks() -> None:
    first = block_text(7)
    block_text.cache_clear()

    assert block_text(7) == first
    assert len({block_text(number) for number in range(200)}) == 200


@given(st.integers(0, 9_999_999))
def test_a_block_is_words_of_its_exact_size(block: int) -> None:
    assert len(block_text(block).encode()) == BLOCK_BYTES
    assert block_text(block).startswith(f"{block:07d} ")


def test_a_prompt_is_its_blocks_and_the_last_is_cut() -> None:
    assert text(ask(600, 1, 2)) == block_text(1) + block_text(2)[: 88 * 4]


def test_the_engine_counts_the_tokens_that_the_trace_gives() -> None:
    asked = question.parse(chat_body(ask(1_536, 1, 2, 3), "tiny"))

    assert question.prompt_tokens(asked.text) == 1_536
    assert len(question.block_keys(asked.text)) == 3


def test_the_body_is_a_streamed_chat_that_asks_for_usage() -> None:
    body = json.loads(chat_body(ask(600, 1, 2), "tiny"))

    assert body["model"] == "tiny"
    assert body["max_tokens"] == 10
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
