"""`flotilla bench` against a real gateway: the load it makes, what it keeps, what is worse."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.fleet_bench import tool
from ops.fleet_bench.baseline import COMPARED, regressions
from ops.fleet_bench.load import Load, prompts
from ops.fleet_bench.point import Point
from ops.fleet_bench.tool import Tool
from tests.fakes import FakeReplica, fake_replica
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
