"""The live view: what is wrong first, and no more rows than there is room."""

import json
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from deployments.render import render
from ops.commands import top as command
from ops.top_view import figures, top_view
from tests.deployments.fake_controller import FakeController
from tests.deployments.fake_serve import FakeServe
from tests.deployments.fleets import fleet_of
from tests.ops.test_cli import _vllm_says_yes, controller, flotilla, serve

__all__ = ["_vllm_says_yes", "controller", "serve"]


def replica(
    name: str, state: str = "ready", running: int = 0, kv_use: float = 0.5
) -> dict[str, Any]:
    load = {"waiting": 0, "running": running, "kv_use": kv_use, "tokens_per_s": 10.0}
    return {"application": name, "state": state, "stages": ["10.0.0.1"], "load": load}


def view(*replicas: dict[str, Any]) -> dict[str, Any]:
    load = {"running": 5, "waiting": 1, "queued": 4, "kv_use": 0.5}
    traffic = {"requests": 90, "errors": 2, "window_s": 60.0, "tokens_per_s": 30.0}
    times = {"first_token_p50_s": 0.25, "first_token_p99_s": 1.5}
    model = {"name": "m", "replica_set": "m", "unavailable": None, "ready_replicas": 1}
    return {
        "models": [model, {**model, "name": "quiet", "replica_set": "none"}],
        "replicas": list(replicas),
        "gateways": [{"gateway_id": "g", "node": "10.0.0.2", "in_flight": 3}],
        "traffic": [{"model": "m", **traffic, **times}],
        "replica_sets": [{"replica_set": "m", **load}],
        "events": [{"at_s": 0.0, "kind": "node", "subject": "[red]n", "text": "joined"}],
        "notes": [],
    }


def drawn(look: dict[str, Any], height_lines: int = 60) -> list[str]:
    console = Console(width=160, height=height_lines, file=StringIO())
    with console.capture() as captured:
        console.print(top_view(look, height_lines))
    return captured.get().splitlines()


def test_a_model_has_its_clients_traffic_beside_its_replicas_load() -> None:
    lines = drawn(view(replica("m.0")))
    (model,) = (line.split() for line in lines if line.startswith("m "))
    assert model == ["m", "1", "5", "1", "4", "50%", "1.5", "30", "2", "0.25", "s", "1.50", "s"]


def test_a_model_that_nobody_asked_for_has_no_figures() -> None:
    assert next(line.split() for line in drawn(view()) if line.startswith("quiet")) == [
        "quiet",
        "1",
    ]


def test_what_is_not_ready_comes_first_then_the_busiest() -> None:
    busy = [replica("m.0", running=1), replica("m.1", running=9), replica("m.2", "deploying")]
    busy[2]["load"] = None
    lines = drawn(view(*busy))
    names = [line.split()[0] for line in lines if line.startswith("m.")]
    assert names == ["m.2", "m.1", "m.0"]
    assert lines[0].startswith("2 of 3 replicas ready · 1 gateways · 3 in flight · 4 queued")


def test_a_thousand_replicas_take_no_more_room_than_there_is() -> None:
    lines = drawn(view(*(replica(f"m.{n}") for n in range(1_000))), 40)
    assert len(lines) <= 40
    assert any(line.startswith("and 994 more") for line in lines)


def test_names_are_text_and_no_markup() -> None:
    assert any("[red]n" in line for line in drawn(view()))


def test_the_same_as_values_for_programs() -> None:
    found = figures(view(replica("m.0", running=2)))
    assert found["replicas"]["m.0"]["load"]["running"] == 2
    assert found["nodes"] == {
        "10.0.0.1": {"replicas": 1, "stages": 1, "gateways": 0},
        "10.0.0.2": {"replicas": 0, "stages": 0, "gateways": 1},
    }


@pytest.fixture
def three_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C after the third."""
    pauses = []

    async def sleep(_: float) -> None:
        pauses.append(1)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(command, "_pause", sleep)


@pytest.mark.usefixtures("three_looks")
def test_top_prints_a_line_for_each_look_until_it_is_told_to_stop(
    serve: FakeServe, controller: FakeController
) -> None:
    serve.run(render(fleet_of()))
    result = flotilla("top", "--json", "--interval", "0.2")
    assert result.exit_code == 0
    looks = [json.loads(line) for line in result.stdout.splitlines()]
    assert [look["replica_sets"][0]["running"] for look in looks] == [7, 7, 7]


@pytest.mark.usefixtures("three_looks", "controller")
def test_top_draws_the_fleet(serve: FakeServe) -> None:
    serve.run(render(fleet_of()))
    result = flotilla("top")
    assert result.exit_code == 0
    assert "1 of 2 replicas ready" in result.stdout


def test_top_without_a_cluster_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", "http://127.0.0.1:1")
    result = flotilla("top")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "run `make up`" in result.stderr
