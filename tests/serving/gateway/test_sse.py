"""Bytes of a stream may be split anywhere; what comes out does not depend on it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.gateway.sse import EventFilter, Garbled

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "served"}
DONE = b"data: [DONE]\n\n"
TRICKY = [
    "plain",
    'data: {"error"',
    "data: [DONE]\n\n",
    '"choices":[]',
    '"model":"served"',
    'data: {"id":"chatcmpl-',
    "\n\n",
    "é😀",
    "",
]


def encode(body: Any) -> bytes:
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return f"data: {text}\n\n".encode()


def token(text: str) -> bytes:
    return encode({**HEAD, "choices": [{"index": 0, "delta": {"content": text}}]})


USAGE = encode({**HEAD, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 9}})
ERROR = encode({"error": {"message": "x", "type": "E", "param": None, "code": 500}})


def run(raw: bytes, cuts: list[int], keep_usage: bool = False) -> tuple[bytes, EventFilter]:
    events, out, at = EventFilter("served", "public", keep_usage), b"", 0
    for cut in [*sorted(c % (len(raw) + 1) for c in cuts), len(raw)]:
        out += events.feed(raw[at:cut])
        at = cut
    return out, events


@given(
    st.lists(st.sampled_from(TRICKY) | st.text(max_size=9), max_size=6),
    st.lists(st.integers(0, 2_000), max_size=6),
    st.booleans(),
)
def test_every_token_comes_through_once_and_in_order(
    texts: list[str], cuts: list[int], keep_usage: bool
) -> None:
    raw = b"".join(token(text) for text in texts) + USAGE + DONE
    out, events = run(raw, cuts, keep_usage)
    parsed = [json.loads(e.removeprefix(b"data: ")) for e in out.split(b"\n\n") if e]
    chunks = [c for c in parsed if c["choices"]]
    assert [c["choices"][0]["delta"]["content"] for c in chunks] == texts
    assert {c["id"] for c in parsed} <= {"chat-1"}
    assert {c["model"] for c in parsed} <= {"public"}
    assert len(parsed) - len(chunks) == keep_usage
    assert events.is_done
    assert events.tokens is not None
    assert events.tokens.completion_tokens == 9


@given(st.lists(st.sampled_from(TRICKY), min_size=1, max_size=5), st.booleans(), st.integers(0, 9))
def test_reads_of_one_event_each_say_the_same_as_one_read_of_all(
    texts: list[str], keep_usage: bool, apart: int
) -> None:
    """The usual case has a shorter way through, which may not show."""
    pieces = [*map(token, texts), USAGE, DONE]
    pieces[apart % len(pieces)] = token("from") + token("two")
    raw = b"".join(pieces)
    ends = [len(b"".join(pieces[:n])) for n in range(1, len(pieces))]
    (one, by_event), (other, at_once) = run(raw, ends, keep_usage), run(raw, [], keep_usage)
    assert one == other
    assert by_event.events == at_once.events
    assert by_event.tokens == at_once.tokens
    assert by_event.is_done == at_once.is_done


@given(st.lists(st.sampled_from(TRICKY), max_size=4), st.lists(st.integers(0, 2_000), max_size=5))
def test_nothing_of_an_error_or_behind_it_comes_through(texts: list[str], cuts: list[int]) -> None:
    raw = b"".join(token(text) for text in texts) + ERROR + token("late") + DONE
    out, events = run(raw, cuts)
    assert out.count(b"\n\n") == len(texts)
    assert b"late" not in out
    assert not events.is_done
    assert events.error is not None
    assert json.loads(events.error)["error"]["code"] == 500


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=4))
def test_garbage_raises_garbled_or_passes(raw: bytes, cuts: list[int]) -> None:
    try:
        run(raw, cuts)
    except Garbled:
        return


def test_an_event_without_end_is_garbled() -> None:
    events = EventFilter("a", "a", keep_usage=False)
    for _ in range(4):
        assert events.feed(b"x" * 2**20) == b""
    with pytest.raises(Garbled):
        events.feed(b"x")
