"""One chunk and nothing else, known by its length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.gateway.chunk import chunk, sole_chunk

SIZES = st.sampled_from([1, 9, 15, 16, 17, 255, 256, 257, 4_094, 4_095]) | st.integers(1, 4_095)


@given(SIZES)
def test_a_chunk_of_ours_is_recognised(size: int) -> None:
    assert sole_chunk(chunk(b"x" * size)) == b"x" * size


@pytest.mark.parametrize("size", [0, 1, 15, 16, 4_095, 4_096, 70_000])
def test_a_chunk_says_its_size(size: int) -> None:
    line, _, rest = chunk(b"x" * size).partition(b"\r\n")
    assert int(line, 16) == size
    assert rest == b"x" * size + b"\r\n"


@given(SIZES, st.integers(0, 5_000))
def test_a_part_of_a_chunk_is_none(size: int, at: int) -> None:
    raw = chunk(b"x" * size)
    assert sole_chunk(raw[: at % len(raw)]) == b""


@given(st.binary(min_size=1, max_size=300), st.binary(min_size=1, max_size=300))
def test_more_than_a_chunk_is_none(one: bytes, other: bytes) -> None:
    assert sole_chunk(chunk(one) + chunk(other)) == b""
    assert sole_chunk(chunk(one) + b"0\r\n\r\n") == b""


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b"0\r\n\r\n",
        b"03\r\nabc\r\n",
        b"A\r\n0123456789\r\n",
        b"+3\r\nabc\r\n",
        b"3;x\r\nabc\r\n",
        b"3\r\nabcd\n",
        b"4\r\nabc\r\n",
        b"3\nabc\r\n",
    ],
)
def test_any_other_framing_is_left_to_the_parser(raw: bytes) -> None:
    assert sole_chunk(raw) == b""
