"""Reading a trace: what is taken, what is left out, what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.errors import TraceInvalid
from deployments.simulation.trace import (
    MAX_LINE_BYTES,
    Names,
    Trace,
    faster,
    read_trace,
    repeated,
    with_load,
)
from deployments.trace_file import load_trace

NAMES = Names({"chat": "chat", "c": "chat", "code": "code"}, "chat")


def line(at_ms: float = 0, prompt: int = 1300, output: int = 5, **more: Any) -> bytes:
    said = {"timestamp": at_ms, "input_length": prompt, "output_length": output, "hash_ids": [7, 9]}
    return json.dumps({**said, **more}).encode()


def read(*lines: bytes, names: Names = NAMES) -> Trace:
    return read_trace(lines, "t.jsonl", names)


def refused(*lines: bytes) -> str:
    with pytest.raises(TraceInvalid) as raised:
        read(*lines)
    return str(raised.value)


def test_only_full_blocks_are_named_and_equal_ids_are_equal_blocks() -> None:
    first, second = read(line(hash_ids=[70, 90, 4]), line(prompt=1024, hash_ids=[70, 5])).arrivals
    assert (first.prompt_tokens, first.output_tokens, len(first.blocks)) == (1300, 5, 2)
    assert first.blocks[0] == second.blocks[0]
    assert first.blocks[1] != second.blocks[1]


def test_a_line_may_name_its_model_by_an_alias() -> None:
    assert [each.model for each in read(line(), line(model="c"), line(model="code")).arrivals] == [
        "chat",
        "chat",
        "code",
    ]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"\x80\x81\xff", "t.jsonl:1: "),
        (b"[]", "Expected `object`"),
        (line(-1), "Expected `float` >= 0"),
        (line(1e300), "$.timestamp"),
        (line(prompt=-5), "$.input_length"),
        (line(output=0), "$.output_length"),
        (line(prompt=2**40), "$.input_length"),
        (line(hash_ids=[1, 2, 3, 4]), "1,300 tokens are 3 blocks of 512"),
        (line(hash_ids=[1, 1]), "names a block twice"),
        (line(model="cha"), "no model 'cha'; did you mean `chat`?"),
        (b" " * 10 + b"x" * MAX_LINE_BYTES, "is longer than 1 MiB"),
    ],
)
def test_a_line_that_cannot_be_true_is_named_with_its_number(bad: bytes, reason: str) -> None:
    assert reason in refused(bad)


def test_a_few_bad_lines_are_left_out_counted_and_named() -> None:
    trace = read(*(line(at) for at in range(30)), line(12), b"{", line(40))
    assert len(trace.arrivals) == 31
    assert trace.left_out == 2
    assert [problem.where for problem in trace.problems] == ["t.jsonl:31", "t.jsonl:32"]
    assert "goes back, from 29 to 12 ms: sort the trace" in str(trace.problems[0])


def test_what_is_mostly_bad_is_no_trace() -> None:
    assert "t.jsonl:2" in refused(line(), b"x", b"y", line(1))


def test_an_empty_trace_is_refused() -> None:
    assert refused() == "t.jsonl: is empty: it holds no request"
    assert refused(b"", b"\n", b"  ") == "t.jsonl: is empty: it holds no request"


def test_requests_without_a_model_need_to_be_told_one() -> None:
    with pytest.raises(TraceInvalid, match="say which it is with --model"):
        read(line(), names=Names(NAMES.known, None))


def test_a_file_that_is_not_there_is_refused_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(TraceInvalid, match="no such file or directory"):
        load_trace(tmp_path / "none.jsonl", NAMES, 512)


def test_a_file_without_line_ends_is_refused_and_not_read_as_one_line(tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(b"\0" * (3 * MAX_LINE_BYTES))
    with pytest.raises(TraceInvalid, match="is longer than 1 MiB"):
        load_trace(path, NAMES, 512)


def test_repeats_follow_one_another_and_share_no_prefix() -> None:
    trace = repeated(read(line(0), line(1000, hash_ids=[7])), 3)
    assert [each.at_s for each in trace.arrivals] == [0, 1, 2, 3, 4, 5]
    blocks = [each.blocks[0] for each in trace.arrivals]
    assert blocks[0] == blocks[1]
    assert len(set(blocks)) == 3


def test_a_repeat_beyond_all_bounds_is_refused() -> None:
    with pytest.raises(TraceInvalid, match="more than 2,000,000 requests"):
        repeated(read(line(), line(1)), 1_500_000)


@given(
    ats=st.lists(st.integers(0, 10_000), min_size=1, max_size=20).map(sorted),
    speed=st.floats(0.01, 100),
    step_s=st.floats(0, 10),
)
def test_scaling_keeps_every_request_and_their_order(
    ats: list[int], speed: float, step_s: float
) -> None:
    trace = read(*(line(at) for at in ats))
    for scaled in (faster(trace, speed), with_load(trace, step_s, speed)):
        times = [each.at_s for each in scaled.arrivals]
        assert len(times) == len(ats)
        assert times == sorted(times)
