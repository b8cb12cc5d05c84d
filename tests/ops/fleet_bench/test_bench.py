"""`flotilla bench` against a real gateway: the load it makes, what it keeps, what is worse."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.simulation.trace import Arrival
from ops.endpoint import Address
from ops.errors import LoadToolFailed
from ops.fleet_bench import tool
from ops.fleet_bench.baseline import COMPARED, regressions
from ops.fleet_bench.load import Load, prompts
from ops.fleet_bench.point import Point
from ops.fleet_bench.tool import Tool
from ops.fleet_bench.trace_prompt import BYTES_PER_TOKEN, trace_prompt
from tests.fakes import FakeReplica, dies_after, fake_replica
from tests.ops.test_cli import _vllm_says_yes, flotilla
from tests.serving.gateway.conftest import pytest_asyncio_loop_factories
from tests.serving.gateway.rig import KEY, Rig, gateway

__all__ = ["_vllm_says_yes", "pytest_asyncio_loop_factories"]

FAKE_TOOL = Path(__file__).with_name("fake_tool.py")
POINT = Point(4, 32, 0, 0, 10.0, 640.0, 200.0, 50.0, 90.0, 10.0, 20.0, 700.0, 900.0)
LOAD = Load("tiny", 20, 2, 2)


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    command = (sys.executable, str(FAKE_TOOL))
    monkeypatch.setattr(tool, "load_tool", lambda address, key: Tool(address, key, command))
    async with fake_replica(FakeReplica()) as replica, gateway(tmp_path, replica) as running:
        yield running


async def bench(rig: Rig, *arguments: str | Path) -> tuple[int, str, str]:
    url = ("--url", f"http://127.0.0.1:{rig.port}/v1", "--key", KEY, "--clients", "1,2")
    load = ("--rounds", "2", "--answer-tokens", "2", "--prompt-words", "20")
    result = await asyncio.to_thread(flotilla, "bench", *url, *load, *arguments)
    return result.exit_code, result.stdout, result.stderr


async def test_a_sweep_asks_as_often_as_it_says_and_never_twice_the_same(rig: Rig) -> None:
    status, output, _ = await bench(rig, "--json")
    assert status == 0
    found = json.loads(output)
    assert found["load"] == {**LOAD.as_json()}
    assert [(each["clients"], each["requests"]) for each in found["points"]] == [(1, 2), (2, 4)]
    asked = [call.body["messages"][0]["content"] for call in rig.replicas[0].calls]
    assert len({text[:64] for text in asked}) == 6
    assert all(call.body["min_tokens"] == 2 for call in rig.replicas[0].calls)


async def test_a_table_shows_throughput_beside_latency(rig: Rig) -> None:
    _, output, _ = await bench(rig)
    assert output.split()[:2] == ["clients", "requests/s"]
    assert [line.split()[0] for line in output.splitlines()[1:]] == ["1", "2"]


async def test_a_run_like_its_baseline_is_well_and_a_slower_one_is_not(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = tmp_path / "baseline.json"
    assert (await bench(rig, "--save", saved))[0] == 0
    assert (await bench(rig, "--baseline", saved))[0] == 0
    monkeypatch.setenv("RATE", "8.5")
    status, _, said = await bench(rig, "--baseline", saved)
    assert status == 1
    assert "flotilla: 2 clients: answer tokens per s 10.0 -> 8.5 (-15%)" in said
    assert (await bench(rig, "--baseline", saved, "--tolerance", "0.2"))[0] == 0


async def test_replies_that_are_not_whole_fail_a_run_without_a_baseline(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILED", "3")
    status, _, said = await bench(rig)
    assert (status, "1 clients: 3 replies were not whole" in said) == (1, True)


async def test_a_baseline_of_another_load_is_refused_before_anything_is_asked(
    rig: Rig, tmp_path: Path
) -> None:
    saved = tmp_path / "baseline.json"
    await bench(rig, "--save", saved)
    asked = len(rig.replicas[0].calls)
    status, _, said = await bench(rig, "--baseline", saved, "--answer-tokens", "3")
    assert (status, "is of another load (answer_tokens 2)" in said) == (1, True)
    saved.write_text("{}")
    assert "is no saved benchmark" in (await bench(rig, "--baseline", saved))[2]
    assert "no such file" in (await bench(rig, "--baseline", tmp_path / "none"))[2]
    assert len(rig.replicas[0].calls) == asked


@pytest.mark.heavy  # matplotlib is an extra
async def test_a_picture_is_drawn(rig: Rig, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert (await bench(rig, "--plot", tmp_path / "sweep.png"))[0] == 0
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")


async def test_a_tool_that_fails_is_quoted(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    command = (sys.executable, "-c", "raise SystemExit('no such option')")
    monkeypatch.setattr(tool, "load_tool", lambda address, key: Tool(address, key, command))
    status, _, said = await bench(rig)
    assert status == 1
    assert "`vllm bench serve` ended with 1: no such option" in said


@pytest.mark.parametrize(
    ("missing", "said"), [("vllm", "`make install`"), ("pandas", "pip install 'flotilla[bench]'")]
)
def test_what_the_tool_lacks_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, missing: str, said: str
) -> None:
    monkeypatch.setattr(tool, "find_spec", lambda name: None if name == missing else name)
    with pytest.raises(LoadToolFailed, match=re.escape(said)):
        tool.load_tool(Address("http://127.0.0.1:1/v1"), KEY)


@pytest.mark.parametrize("clients", ["", "0", "1,1", "a", "5000"])
def test_a_list_of_clients_that_makes_no_sense_is_refused(clients: str) -> None:
    assert flotilla("bench", "--clients", clients).exit_code == 2


@pytest.mark.parametrize("figure", COMPARED)
def test_every_figure_that_is_compared_can_be_worse(figure: str) -> None:
    factor = 0.5 if COMPARED[figure] else 2.0
    worse = replace(POINT, **{figure: getattr(POINT, figure) * factor})
    assert [each.figure for each in regressions([POINT], [worse], 0.1)] == [figure]
    assert list(regressions([worse], [POINT], 0.1)) == []


@given(st.floats(0, 1))
def test_a_run_is_never_worse_than_itself(tolerance: float) -> None:
    assert list(regressions([POINT], [POINT], tolerance)) == []


def test_a_point_that_the_baseline_has_not_is_not_judged() -> None:
    assert list(regressions([POINT], [replace(POINT, clients=8, whole_p50_ms=1e9)], 0.1)) == []


@given(st.integers(0, 10_000), st.integers(2, 200))
def test_no_two_prompts_begin_alike(first: int, count: int) -> None:
    found = list(prompts(LOAD, first, count))
    assert len({prompt[:16] for prompt in found}) == count
    assert all(len(prompt.split()) == LOAD.prompt_words + 1 for prompt in found)


def traced(tmp_path: Path, *rows: dict[str, object]) -> Path:
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def row(at_ms: int, blocks: list[int], **more: object) -> dict[str, object]:
    prompt = 16 * len(blocks) + 8
    return {
        "timestamp": at_ms,
        "input_length": prompt,
        "output_length": 3,
        "hash_ids": [*blocks, 99],
        **more,
    }


async def replayed(rig: Rig, *arguments: str | Path) -> tuple[int, str, str]:
    url = ("--url", f"http://127.0.0.1:{rig.port}/v1", "--key", KEY, "--block-tokens", "16")
    result = await asyncio.to_thread(flotilla, "bench", "trace", *arguments, *url)
    return result.exit_code, result.stdout, result.stderr


async def test_a_trace_is_played_with_the_prefixes_that_it_shares(rig: Rig, tmp_path: Path) -> None:
    path = traced(tmp_path, row(0, [1, 2]), row(100, [1, 3]), row(200, [1, 2]))
    status, output, said = await replayed(rig, path, "--model", "tiny", "--requests", "2", "--json")
    assert (status, said) == (0, "")
    found = json.loads(output)
    assert (found["requests"], found["whole"], found["answer_tokens"]) == (2, 2, 6)
    assert found["elapsed_s"] >= 0.1
    one, other = (call.body for call in rig.replicas[0].calls)
    texts = [body["messages"][0]["content"] for body in (one, other)]
    assert texts[0][:64] == texts[1][:64]
    assert texts[0][64:80] != texts[1][64:80]
    assert one["max_tokens"] == one["min_tokens"] == 3


async def test_what_fails_in_a_trace_is_counted_under_its_reason(rig: Rig, tmp_path: Path) -> None:
    rig.replicas[0].behaviour = dies_after("a")
    path = traced(tmp_path, row(0, [1]))
    status, output, said = await replayed(rig, path, "--model", "tiny")
    assert status == 1
    assert output.splitlines()[1].split() == ["whole", "0"]
    assert said.startswith("flotilla: 1 failed: ")


async def test_a_trace_that_is_none_is_named_with_its_line(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text("{}\n")
    status, _, said = await replayed(rig, path, "--model", "tiny")
    assert status == 2
    assert said.startswith(f"{path}:1: ")


@given(st.lists(st.integers(0, 10**9), max_size=4), st.integers(0, 40), st.integers(1, 64))
def test_a_prompt_of_a_trace_is_as_long_as_the_trace_says(
    blocks: list[int], rest: int, block_tokens: int
) -> None:
    tokens = len(blocks) * block_tokens + rest
    arrival = Arrival(0.0, "m", tokens, 1, tuple(blocks))
    assert len(trace_prompt(arrival, block_tokens, 7)) == max(tokens * BYTES_PER_TOKEN, 1)
