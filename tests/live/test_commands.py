"""The commands that look and talk, on a real fleet: none of them starts a driver of Ray's."""

import json
import signal
import subprocess
from typing import Any

import pytest

from ops.planning import NOTHING_TO_DO
from tests.live.conftest import DEMO
from tests.live.fleet_under_test import FLOTILLA, QUESTION, LiveFleet, wait_for

pytestmark = pytest.mark.timeout(900)


def test_status_is_told_by_the_controller(fleet: LiveFleet) -> None:
    view = fleet.status()
    assert view["notes"] == []
    assert len(view["gateways"]) == 2
    assert {each["kind"] for each in view["events"]} >= {"controller", "replica"}


def test_top_looks_again_and_again_and_stops_when_it_is_told(fleet: LiveFleet) -> None:
    with subprocess.Popen(
        [*FLOTILLA, "top", "--json", "--interval", "0.3"],
        env=fleet.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as top:
        assert top.stdout is not None
        looks = [json.loads(top.stdout.readline()) for _ in range(3)]
        top.send_signal(signal.SIGINT)
        assert top.wait(20) == 0
    assert looks[-1]["replicas"]["demo.0"]["state"] == "ready"
    assert sum(node["gateways"] for node in looks[-1]["nodes"].values()) == 2


def test_events_tell_that_the_replica_came(fleet: LiveFleet) -> None:
    def came() -> list[dict[str, Any]] | None:
        lines = fleet.run("events", "--json").stdout.splitlines()
        found = [each for each in map(json.loads, lines) if each["subject"] == "demo.0"]
        return found or None

    assert any("is ready on" in each["text"] for each in wait_for(came, "the replica's event"))


def test_logs_show_what_the_engine_says(fleet: LiveFleet) -> None:
    lines = fleet.run("logs", "demo", "--lines", "200").stdout.splitlines()
    assert lines
    assert all(line.startswith("demo.0 | ") for line in lines)
    assert any("vllm" in line.lower() for line in lines)


def test_logs_become_json_where_the_fleet_says_so_and_nothing_starts_anew(
    fleet: LiveFleet,
) -> None:
    before = fleet.replica("demo.0")["pid"]
    path = fleet.file(DEMO)
    path.write_text(f"logs: json\n{path.read_text()}")
    try:
        fleet.run("deploy", str(path))
        assert NOTHING_TO_DO in fleet.run("deploy", str(path)).stderr
        wait_for(lambda: _has_json(fleet, "flotilla"), "a line of JSON of the Controller's")
        assert fleet.replica("demo.0")["pid"] == before
    finally:
        fleet.deploy(DEMO)


def _has_json(fleet: LiveFleet, name: str) -> bool | None:
    lines = fleet.run("logs", name, "--lines", "5", "--json").stdout.splitlines()
    said = [json.loads(line)["text"] for line in lines]
    return any(text.startswith("{") and "levelname" in json.loads(text) for text in said) or None


def test_chat_finds_the_fleet_of_this_machine_by_itself(fleet: LiveFleet) -> None:
    done = fleet.run("chat", QUESTION, "--model", "demo", "--temperature", "0", "--json")
    answer = json.loads(done.stdout)
    assert "flotilla keys create" in answer["answer"]
    assert answer["finish_reason"] == "stop"


def test_what_connect_prints_works(fleet: LiveFleet) -> None:
    line = fleet.run("connect", "curl", "--model", "demo").stdout
    done = subprocess.run(
        ["sh", "-c", line],
        env={**fleet.environment, "OPENAI_API_KEY": fleet.key.strip()},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout)["object"] == "chat.completion"


def test_bench_overhead_asks_by_both_ways(fleet: LiveFleet) -> None:
    done = fleet.run("bench", "overhead", "--model", "demo", "--requests", "5", "--json")
    median, _ = json.loads(done.stdout)
    assert median["gateway_ms"] > 0
    assert median["direct_ms"] > 0


@pytest.mark.heavy
def test_bench_drives_the_fleet_with_vllms_own_tool(fleet: LiveFleet) -> None:
    pytest.importorskip("pandas")
    arguments = ("--model", "demo", "--clients", "1,2", "--rounds", "2")
    done = fleet.run("bench", *arguments, "--prompt-words", "20", "--answer-tokens", "8", "--json")
    points = json.loads(done.stdout)["points"]
    assert [(each["clients"], each["requests"]) for each in points] == [(1, 2), (2, 4)]
    assert all(each["failed"] == each["missing_tokens"] == 0 for each in points)
    assert all(each["prompt_tokens"] > 20 for each in points)
