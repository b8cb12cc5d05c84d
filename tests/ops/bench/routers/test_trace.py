import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.bench.routers.trace import (
    BLOCK_TOKENS,
    Ask,
    BadTrace,
    hurried,
    read,
    without_shared_blocks,
)


def line(**changed: Any) -> str:
    row = {"timestamp": 0, "input_length": 600, "output_length": 10, "hash_ids": [1, 2]}
    return json.dumps(row | changed)


def test_a_slice_is_the_first_requests_of_the_trace() -> None:
    lines = (line(timestamp=1_000 * number) for number in range(10))

    asks = read(lines, 3)

    assert [ask.arrival_s for ask in asks] == [0.0, 1.0, 2.0]
    assert asks[0] == Ask(0.0, prompt_tokens=600, output_tokens=10, blocks=(1, 2))


def test_requests_of_one_tick_are_spread_until_the_next() -> None:
    times = (0, 0, 0, 3_000, 3_000, 6_000, 6_000)

    asks = read((line(timestamp=time) for time in times), 99)

    assert [ask.arrival_s for ask in asks] == [0.0, 1.0, 2.0, 3.0, 4.5, 6.0, 7.5]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("{", "line 2 of the trace is no request"),
        ("[]", "line 2 of the trace is no request"),
        ("{}", "line 2 of the trace is no request"),
        (line(timestamp="soon"), "line 2 of the trace is no request"),
        (line(input_length=-1), "line 2 of the trace has a length or time out of bounds"),
        (line(output_length=10**9), "line 2 of the trace has a length or time out of bounds"),
        (line(timestamp=float("nan")), "line 2 of the trace has a length or time out of bounds"),
        (line(hash_ids=[1]), "line 2 of the trace has 1 blocks for 600 tokens"),
    ],
)
def test_a_bad_line_is_named(bad: str, words: str) -> None:
    with pytest.raises(BadTrace, match=words):
        read([line(), bad], 99)


def test_a_trace_without_requests_is_refused() -> None:
    with pytest.raises(BadTrace, match="holds no request"):
        read(["\n"], 99)


def test_time_that_goes_back_is_refused() -> None:
    with pytest.raises(BadTrace, match="request 2 of the trace comes before"):
        read([line(timestamp=5), line(timestamp=4)], 99)


def test_a_higher_load_is_the_same_requests_sooner() -> None:
    asks = read((line(timestamp=time) for time in (3_000, 6_000, 9_000)), 99)

    assert [ask.arrival_s for ask in hurried(asks, 2.0)] == [0.0, 1.5, 3.0]


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), min_size=1, max_size=9))
def test_without_shared_blocks_every_block_is_new_and_the_rest_the_same(
    blocks: list[list[int]],
) -> None:
    asks = tuple(Ask(1.0, len(ids) * BLOCK_TOKENS, 7, tuple(ids)) for ids in blocks)

    fresh = without_shared_blocks(asks)

    ids = [block for ask in fresh for block in ask.blocks]
    assert len(set(ids)) == len(ids)
    assert not set(ids) & {block for ask in asks for block in ask.blocks}
    assert [len(ask.blocks) for ask in fresh] == [len(ask.blocks) for ask in asks]
    assert [ask.prompt_tokens for ask in fresh] == [ask.prompt_tokens for ask in asks]
