"""Changes under load, and Serve's own command line in place of ours."""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml

from cluster.processes import session_members
from tests.live.aftermath import Fault
from tests.live.callers import Callers
from tests.live.conftest import DEMO
from tests.live.fleet_under_test import (
    COMMAND_DEADLINE_S,
    ENGINE,
    MODEL,
    NEVER_ENDS,
    LiveFleet,
    wait_for,
)
from tests.live.onlooker import COMPLETE
from tests.live.test_gangs import processes_named

pytestmark = pytest.mark.timeout(1200)

#: Seconds of work for the engine, well within the fleet's grace.
LONG_ANSWER_TOKENS = 400
SERVE_CONTROLLER = "ray::ServeController"
SERVE = str(Path(sys.executable).with_name("serve"))


def deployed(fleet: LiveFleet, models: str = DEMO) -> dict[str, Any]:
    """The config of these models, as Serve would take it."""
    rendered = fleet.run("render", str(fleet.file(models))).stdout
    return dict(yaml.safe_load(rendered))


def put(fleet: LiveFleet, config: dict[str, Any]) -> None:
    environment = fleet.environment
    request = urllib.request.Request(
        environment["RAY_DASHBOARD_ADDRESS"] + "/api/serve/applications/",
        json.dumps(config).encode(),
        {"Authorization": f"Bearer {(fleet.home / 'ray_token').read_text()}"},
        method="PUT",
    )
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as reply:
        assert reply.status == 200


@pytest.fixture
def restored(fleet: LiveFleet) -> Iterator[LiveFleet]:
    yield fleet
    fleet.deploy(DEMO)


def both_gateways(fleet: LiveFleet) -> set[int]:
    """The two gateways, once those that an update has replaced are forgotten."""
    return wait_for(lambda: pids if len(pids := gateway_pids(fleet)) == 2 else None, "two gateways")


def two_gateways_without(fleet: LiveFleet, gone: set[int]) -> None:
    """The Controller keeps one that has gone silent in its list for some seconds more."""
    wait_for(
        lambda: True if len(now := gateway_pids(fleet)) == 2 and not now & gone else None,
        "two other gateways",
        300,
    )


def gateway_pids(fleet: LiveFleet) -> set[int]:
    return {gateway["pid"] for gateway in fleet.status()["gateways"]}


def test_55_gateways_are_replaced_under_load_without_a_failed_request(restored: LiveFleet) -> None:
    before = both_gateways(restored)
    engine = restored.replica("demo.0")["pid"]
    config = deployed(restored)
    config["applications"][0]["runtime_env"] = {"env_vars": {"FLOTILLA_RELEASE": "next"}}
    with Callers(restored) as callers:
        put(restored, config)
        two_gateways_without(restored, before)
        answered = callers.done
        wait_for(lambda: True if callers.done > answered + 20 else None, "more answers")
    assert callers.failures == []
    assert restored.replica("demo.0")["pid"] == engine


def test_28_serves_controller_may_die_and_takes_every_replica_over_again(
    fleet: LiveFleet, fault: Fault
) -> None:
    before = {replica["application"]: replica["pid"] for replica in fleet.replicas()}
    old = process_of(fleet, SERVE_CONTROLLER)
    with fault.crowd("demo", clients=2):
        fault.strikes()
        os.kill(old, signal.SIGKILL)
        wait_for(
            lambda: process_of(fleet, SERVE_CONTROLLER) not in (0, old) or None, "a new controller"
        )
        deploy = ("deploy", str(fleet.file(DEMO)))
        wait_for(lambda: fleet.run(*deploy, check=False).returncode == 0 or None, "control", 300)
    assert set(fault.kinds) == {COMPLETE}
    assert {replica["application"]: replica["pid"] for replica in fleet.replicas()} == before


def process_of(fleet: LiveFleet, title: str) -> int:
    """The fleet's process of this title; 0 while there is none."""
    mine = session_members(json.loads((fleet.home / "cluster.json").read_text())["session"])
    return next((pid for pid in processes_named(title) if pid in mine), 0)


def test_54_serves_own_command_deploys_a_model_and_once_removed_it_finishes_what_it_streams(
    restored: LiveFleet,
) -> None:
    before, gateways = restored.replica("demo.0")["pid"], both_gateways(restored)
    extra = f"""\
  plain:
    source: {MODEL}
    max_model_len: 1024
    engine: {ENGINE}
"""
    file = restored.home / "serve.yaml"
    file.write_text(restored.run("render", str(restored.file(DEMO + extra))).stdout)
    subprocess.run(
        [SERVE, "deploy", str(file)],
        env=restored.environment,
        check=True,
        capture_output=True,
        timeout=COMMAND_DEADLINE_S,
    )
    wait_for(lambda: _says(restored, "plain"), "the new model to answer", 600)
    assert restored.says("plain") == restored.says("demo")
    assert (restored.replica("demo.0")["pid"], both_gateways(restored)) == (before, gateways)
    _a_removed_model_finishes_what_it_streams(restored)


def _a_removed_model_finishes_what_it_streams(fleet: LiveFleet) -> None:
    """Runs here because a model to remove takes a minute to start."""
    stream = fleet.client().chat.completions.create(
        model="plain",
        messages=[{"role": "user", "content": "hello"}],
        max_tokens=LONG_ANSWER_TOKENS,
        stream=True,
        stream_options={"include_usage": True},
        logit_bias=NEVER_ENDS,
    )
    first = next(iter(stream))
    assert first.choices
    removing = threading.Thread(target=fleet.deploy, args=(DEMO,))
    removing.start()
    chunks = list(stream)
    removing.join(timeout=300)
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == LONG_ANSWER_TOKENS
    with pytest.raises(openai.NotFoundError):
        fleet.says("plain")


def _says(fleet: LiveFleet, model: str) -> str | None:
    try:
        return fleet.says(model)
    except (openai.NotFoundError, openai.InternalServerError):
        return None
