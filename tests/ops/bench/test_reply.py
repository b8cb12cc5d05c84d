from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.bench import wire
from ops.bench.reply import STREAM_END, WHOLE_END, ReplyCheck

STREAM = b"".join(wire.chat_events("tiny", with_usage=True))
WHOLE = wire.chat_reply("tiny")


def checked(end: bytes, *pieces: bytes) -> ReplyCheck:
    check = ReplyCheck(end)
    for piece in pieces:
        check.feed(piece)
    return check


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM))))
def test_a_stream_is_whole_wherever_the_network_cuts_it(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(edges)]

    check = checked(STREAM_END, *pieces)

    assert check.tokens == wire.CHUNKS
    assert check.problem(200) is None


@pytest.mark.parametrize(
    "body",
    [
        WHOLE,
        WHOLE + b"\n",
        wire.text_reply("tiny"),
    ],
)
def test_a_whole_reply_has_all_tokens_and_its_last_bracket(body: bytes) -> None:
    assert checked(WHOLE_END, body).problem(200) is None


def test_every_kind_of_stream_passes() -> None:
    for usage in (False, True):
        for events in (wire.chat_events, wire.text_events):
            assert checked(STREAM_END, *events("tiny", with_usage=usage)).problem(200) is None


def test_a_status_other_than_200_is_the_problem() -> None:
    assert checked(WHOLE_END, WHOLE).problem(503) == "status 503"


def test_a_lost_token_is_a_problem() -> None:
    events = wire.chat_events("tiny", with_usage=False)

    assert checked(STREAM_END, *events[:3], *events[4:]).problem(200) == "49 tokens instead of 50"


def test_a_stream_without_done_is_a_problem() -> None:
    events = wire.chat_events("tiny", with_usage=False)

    assert checked(STREAM_END, *events[:-1]).problem(200) == "no end marker"


def test_a_reset_check_knows_nothing_of_the_reply_before() -> None:
    check = checked(WHOLE_END, WHOLE)

    check.reset()

    assert check.problem(200) == "0 tokens instead of 50"


def test_a_piece_tells_how_many_tokens_it_completed() -> None:
    check = ReplyCheck(STREAM_END)

    assert [check.feed(piece) for piece in (b"a to", b"k tok t", b"o", b"k")] == [0, 2, 0, 1]
