"""The live view: rates from two looks, what is wrong first, and no more rows than there is room."""

import json
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from deployments.render import render
from ops.commands import top as command
from ops.pace import pace_of
from ops.top_view import Look, figures, top_view
from serving import histogram
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


def view(*replicas: dict[str, Any], arrivals: int = 0, slow: int = 0) -> dict[str, Any]:
    tokens = [0] * histogram.BUCKETS
    tokens[5], tokens[20] = arrivals, slow
    demand = {"replica_set": "m", "arrivals": arrivals, "queued": 4, "first_tokens": tokens}
    gateway = {"gateway_id": "g", "node": "10.0.0.2", "in_flight": 3, "demands": [demand]}
    model = {"name": "m", "replica_set": "m", "unavailable": None, "ready_replicas": 1}
    return {
        "models": [model],
        "replicas": list(replicas),
        "gateways": [gateway],
        "events": [{"at_s": 0.0, "kind": "node", "subject": "[red]n", "text": "joined"}],
        "notes": [],
    }


def drawn(look: Look, height_lines: int = 60) -> list[str]:
    console = Console(width=160, height=height_lines, file=StringIO())
    with console.capture() as captured:
        console.print(top_view(look, height_lines))
    return captured.get().splitlines()


def test_rates_are_what_came_between_two_looks() -> None:
    before, now = view(replica("m.0"), arrivals=10), view(replica("m.0"), arrivals=30, slow=1)
    pace = pace_of("m", before, now, 2.0)
    assert (pace.requests_per_s, pace.queued, pace.tokens_per_s) == (10.0, 4, 10.0)
    assert pace.first_token_p50_s == histogram.BOUNDS_S[5]
    assert pace.first_token_p99_s == histogram.BOUNDS_S[20]


def test_the_first_look_has_no_rates() -> None:
    pace = pace_of(None, None, view(replica("m.0"), arrivals=10), 0.0)
    assert (pace.requests_per_s, pace.first_token_p50_s) == (0.0, None)


def test_a_gateway_that_has_just_come_brings_no_rate() -> None:
    before, now = view(), view(arrivals=1000)
    before["gateways"][0]["gateway_id"] = "another"
    assert pace_of(None, before, now, 1.0).requests_per_s == 0.0


def test_a_model_counts_its_own_replicas_alone() -> None:
    now = view(replica("m.0", running=2), replica("m.big.0", running=5))
    assert pace_of("m", None, now, 0).running == 2
    assert pace_of("m.big", None, now, 0).running == 5
    assert pace_of(None, None, now, 0).running == 7


def test_what_is_not_ready_comes_first_then_the_busiest() -> None:
    busy = [replica("m.0", running=1), replica("m.1", running=9), replica("m.2", "deploying")]
    busy[2]["load"] = None
    lines = drawn(Look(view(*busy)))
    names = [line.split()[0] for line in lines if line.startswith("m.")]
    assert names == ["m.2", "m.1", "m.0"]
    assert lines[0].startswith("2 of 3 replicas ready · 1 gateways · 3 in flight · 4 queued")


def test_a_thousand_replicas_take_no_more_room_than_there_is() -> None:
    lines = drawn(Look(view(*(replica(f"m.{n}") for n in range(1_000)))), 40)
    assert len(lines) <= 40
    assert any(line.startswith("and 994 more") for line in lines)


def test_names_are_text_and_no_markup() -> None:
    assert any("[red]n" in line for line in drawn(Look(view())))


def test_the_same_as_values_for_programs() -> None:
    found = figures(Look(view(replica("m.0", running=2))))
    assert found["models"]["m"]["running"] == 2
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
    assert [look["models"]["big"]["running"] for look in looks] == [7, 7, 7]


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
