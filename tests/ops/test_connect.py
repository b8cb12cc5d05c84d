"""What `flotilla connect` prints works where it is put: programs run against a real gateway, files
are read by the tools' own rules.
"""

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from ops.commands.connect import TOOLS
from ops.onramp import ON_RAMPS, Target
from tests.conformance.clients import FOLDER, install_node_modules, needs_node
from tests.fakes import FakeReplica, fake_replica
from tests.ops.test_cli import _vllm_says_yes, flotilla
from tests.serving.gateway.conftest import pytest_asyncio_loop_factories
from tests.serving.gateway.rig import KEY, Rig, gateway, model

__all__ = ["_vllm_says_yes", "pytest_asyncio_loop_factories"]

TARGET = Target("https://fleet.example/v1", "sk-abc-secret", ("coder", "yes", "chat:8k", "1e3"))


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    models = [model("tiny"), model("other", replica_set="tiny")]
    async with (
        fake_replica(FakeReplica()) as replica,
        gateway(tmp_path, replica, models=models) as running,
    ):
        yield running


async def connect(rig: Rig, *arguments: str) -> tuple[int, str, str]:
    url = f"http://127.0.0.1:{rig.port}/v1"
    result = await asyncio.to_thread(flotilla, "connect", *arguments, "--url", url, "--key", KEY)
    return result.exit_code, result.stdout, result.stderr


async def ran(*command: str) -> str:
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        env={**os.environ, "OPENAI_API_KEY": KEY},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout


async def test_the_python_program_runs(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "ask.py"
    status, _, said = await connect(rig, "python", "--output", str(path))
    assert (status, "pip install openai" in said) == (0, True)
    assert await ran(sys.executable, str(path)) == "Hello there.\n"


@needs_node
async def test_the_program_for_node_runs(rig: Rig) -> None:
    await install_node_modules()
    path = FOLDER / "node_modules" / "connected.mjs"
    path.unlink(missing_ok=True)
    await connect(rig, "node", "--output", str(path))
    said = await ran("node", str(path))
    # Its owner alone can read it, and others copy this tree.
    path.unlink()
    assert said == "Hello there.\n"


async def test_the_curl_line_runs_and_does_not_hold_the_key(rig: Rig) -> None:
    _, line, _ = await connect(rig, "curl", "--model", "other")
    assert KEY not in line
    reply = json.loads(await ran("sh", "-c", line))
    assert (reply["model"], reply["object"]) == ("other", "chat.completion")


async def test_a_file_is_for_its_owner_alone_and_one_that_is_there_stays(
    rig: Rig, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "config.yaml"
    status, output, _ = await connect(rig, "continue", "--output", str(path))
    assert (status, output) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_text()
    status, _, said = await connect(rig, "continue", "--output", str(path))
    assert (status, "is there already" in said) == (1, True)
    assert path.read_text() == before


async def test_the_chosen_model_comes_first_and_the_others_after_it(rig: Rig) -> None:
    _, text, _ = await connect(rig, "continue", "--model", "other")
    assert [each["model"] for each in yaml.safe_load(text)["models"]] == ["other", "tiny"]


async def test_who_reads_no_file_is_told_what_to_type(rig: Rig) -> None:
    status, text, _ = await connect(rig, "codegpt")
    assert status == 0
    assert f"http://127.0.0.1:{rig.port}/v1" in text


async def test_as_json_text_and_steps_are_apart(rig: Rig) -> None:
    _, output, said = await connect(rig, "open-webui", "--json")
    shown = json.loads(output)
    assert shown["tool"] == "open-webui"
    assert f"OPENAI_API_KEY={KEY}\n" in shown["text"]
    assert said == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["curl", "--key", "sk-wrong"], "does not take this key: `flotilla keys create NAME`"),
        (["curl", "--model", "tinny"], "did you mean `tiny`?"),
        (["curl", "--url", "http://127.0.0.1:1/v1"], "`flotilla status` says what runs"),
        (["curl", "--url", "127.0.0.1:1"], "does not begin with http:// or https://"),
    ],
)
async def test_what_would_not_work_is_refused_with_the_way_out(
    rig: Rig, arguments: list[str], said: str
) -> None:
    url = ["--url", f"http://127.0.0.1:{rig.port}/v1", "--key", KEY]
    result = await asyncio.to_thread(flotilla, "connect", *url, *arguments)
    assert result.exit_code in (1, 2)
    assert said in result.stderr
    assert result.stdout == ""


def test_without_a_key_it_says_where_one_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    result = flotilla("connect", "curl", "--url", "http://127.0.0.1:1/v1")
    assert (result.exit_code, "no key: `flotilla keys create NAME`" in result.stderr) == (1, True)


@needs_node
async def test_continues_own_reader_takes_the_file_and_finds_nothing_wrong(tmp_path: Path) -> None:
    """With models called as YAML would like to read otherwise."""
    await install_node_modules()
    path = tmp_path / "config.yaml"
    path.write_text(ON_RAMPS["continue"].text(TARGET))
    read = json.loads(await ran("node", str(FOLDER / "continue.mjs"), str(path)))
    known = {"provider": "openai", "apiBase": TARGET.base_url, "apiKey": TARGET.key}
    assert read["models"] == [{"name": name, "model": name, **known} for name in TARGET.models]
    assert read["problems"] == []


def test_a_shell_reads_open_webuis_settings(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    path.write_text(ON_RAMPS["open-webui"].text(TARGET))
    script = f'set -a; . {path}; printf "%s " "$OPENAI_API_BASE_URL" "$OPENAI_API_KEY"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [TARGET.base_url, TARGET.key]


def test_every_tool_has_a_ramp_and_only_files_hold_the_key() -> None:
    assert tuple(ON_RAMPS) == TOOLS
    for ramp in ON_RAMPS.values():
        assert (TARGET.key in ramp.text(TARGET)) is ramp.is_secret
