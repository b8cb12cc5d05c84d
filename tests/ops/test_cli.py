"""The `flotilla` command as an operator sees it: output, exit status, one line when something is
wrong.
"""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
import yaml
from click.testing import CliRunner, Result

from deployments import engine_check
from deployments.ledger.acts import ChangeFleet
from deployments.ledger.notes import ended
from deployments.render import render
from ops.cli import main
from serving.keystore import home
from tests.deployments.fake_controller import FakeController
from tests.deployments.fake_serve import FakeServe
from tests.deployments.fleets import TWO_NAMES, changed, fleet_of


@pytest.fixture(autouse=True)
def _vllm_says_yes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """vLLM's own parser takes ten seconds to import; `test_engine_arguments` asks it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("FLOTILLA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "token")
    monkeypatch.setattr(engine_check, "problems", lambda argv: [])


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.yaml"
    path.write_text(TWO_NAMES)
    return path


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServe]:
    with running(FakeServe()) as fake:
        monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", fake.url)
        yield fake


class Fake(Protocol):
    def serving(self) -> AbstractAsyncContextManager[object]: ...


F = TypeVar("F", bound=Fake)


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[FakeController]:
    (tmp_path / "home").mkdir()
    with running(FakeController(tmp_path / "home")) as fake:
        yield fake


@contextmanager
def running(fake: F) -> Iterator[F]:
    """The fake on a thread of its own: a command brings its own event loop."""
    ready, done = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def stay() -> None:
        async with fake.serving():
            ready.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(stay(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield fake
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10)
        loop.close()


def flotilla(*args: str | Path) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args], catch_exceptions=False)


def test_help_is_there_without_loading_anything_heavy() -> None:
    code = (
        "import sys, ops.cli; print([m for m in ('ray', 'vllm', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert "deploy" in flotilla("--help").output


def test_render_prints_a_serve_config_and_nothing_else(fleet: Path) -> None:
    result = flotilla("render", fleet)
    assert result.exit_code == 0
    assert yaml.safe_load(result.stdout) == render(fleet_of())
    assert result.stderr == ""
    assert "&id" not in result.stdout


def test_render_takes_another_device_than_the_file_says(fleet: Path) -> None:
    config = yaml.safe_load(flotilla("render", fleet, "--device", "gpu").stdout)
    assert config["applications"][1]["args"]["device"] == "gpu"


def test_a_wrong_fleet_ends_with_2_and_a_line_for_each_problem(fleet: Path) -> None:
    fleet.write_text(TWO_NAMES + "gatway: {}\nx: 1\n")
    result = flotilla("render", fleet)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert [line.split(": ", 1)[0] for line in result.stderr.splitlines()] == [
        f"{fleet}:15",
        f"{fleet}:16",
    ]


def test_what_vllm_has_against_the_engine_is_told_with_its_line(
    fleet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_check, "problems", lambda argv: ["vLLM has no argument `x`"])
    result = flotilla("render", fleet)
    assert result.exit_code == 2
    assert result.stderr == f"{fleet}:14: models.big.engine: vLLM has no argument `x`\n"


def test_vllm_is_asked_once_for_the_same_engine(
    fleet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def problems(argv: list[str]) -> list[str]:
        asked.append(argv)
        return []

    monkeypatch.setattr(engine_check, "problems", problems)
    flotilla("render", fleet)
    flotilla("render", fleet)
    assert len(asked) == 1
    fleet.write_text(TWO_NAMES.replace("64M", "65M"))
    flotilla("render", fleet)
    assert len(asked) == 2


def noted() -> list[ChangeFleet]:
    """What a Controller would put into the audit."""
    return [each.noted.act for each in ended(home())]


def test_deploy_makes_the_fleet_run_and_says_so_as_json(fleet: Path, serve: FakeServe) -> None:
    result = flotilla("deploy", fleet, "--json")
    assert result.exit_code == 0
    added = ("flotilla", "flotilla-dashboard", "big.0", "big.1")
    assert json.loads(result.stdout) == {
        "result": "done",
        "steps": [{"action": "add", "application": name} for name in added],
    }
    assert "add big.1: done in" in result.stderr
    assert serve.puts[-1] == render(fleet_of())
    [act] = noted()
    assert (act.command, act.path, act.outcome) == ("deploy", str(fleet), "done")
    assert act.steps == tuple(f"add {name}" for name in added)


def test_deploying_what_runs_does_nothing(fleet: Path, serve: FakeServe) -> None:
    serve.run(render(fleet_of()))
    result = flotilla("deploy", fleet)
    assert (result.exit_code, serve.puts) == (0, [])
    assert "nothing to do" in result.stderr


def test_a_deploy_that_fails_names_the_application_and_the_cause(
    fleet: Path, serve: FakeServe
) -> None:
    serve.run(render(fleet_of()))
    serve.stuck = {"big.2"}
    more = yaml.safe_load(fleet.read_text())
    more["models"]["big"]["replicas"] = {"min": 3, "max": 3}
    fleet.write_text(yaml.dump(more, sort_keys=False))
    result = flotilla("deploy", fleet, "--json", "--timeout", "1")
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert (said["result"], said["application"], said["rolled_back"]) == ("failed", "big.2", True)
    assert "flotilla: big.2: not done after 1 s" in result.stderr
    assert [act.outcome[:33] for act in noted()] == ["failed: big.2: not done after 1 s"]


def test_without_a_cluster_a_command_says_what_to_do(
    fleet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", "http://127.0.0.1:1")
    for command in (["deploy", str(fleet)], ["status"], ["keys", "create", "a"]):
        result = flotilla(*command)
        assert result.exit_code == 1
        assert result.stderr.splitlines()[-1].endswith("run `make up`")


@pytest.mark.usefixtures("controller")
def test_status_shows_models_replicas_and_gateways(serve: FakeServe) -> None:
    serve.run(render(fleet_of()))
    serve.stuck = {"big.1"}
    shown = flotilla("status")
    assert shown.exit_code == 0
    for text in ("small", "2048", "10.0.0.1 10.0.0.2", "25%", "deploying", "g1"):
        assert text in shown.stdout
    view = json.loads(flotilla("status", "--json").stdout)
    assert [model["ready_replicas"] for model in view["models"]] == [1, 1]
    assert [each["state"] for each in view["replicas"]] == ["ready", "deploying"]
    assert view["gateways"][0]["in_flight"] == 5


def test_status_without_a_controller_still_shows_what_serve_knows(serve: FakeServe) -> None:
    serve.run(render(changed(fleet_of())))
    serve.broken = {"big.1": "Traceback\nEngineFailed: no memory"}
    result = flotilla("status")
    assert result.exit_code == 0
    assert "no Controller answers (nobody listens on its socket)" in result.stderr
    assert "big.1: EngineFailed: no memory" in result.stderr


def test_on_an_empty_cluster_there_is_nobody_to_make_a_key(serve: FakeServe) -> None:
    result = flotilla("keys", "create", "alice")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "no Controller answers (nothing is deployed): run `flotilla deploy" in result.stderr
