"""vLLM is asked in a process of its own, which may answer anything or nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from cluster.problem import Problem
from ops.dashboard import engine_verdict as module
from ops.dashboard.engine_verdict import engine_verdict
from ops.errors import PlanRefused
from tests.deployments.test_plan import models

ASKED = models(a="engine: {max_num_seqs: 4}")


def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Another process answers in vLLM's place."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\ncat > {tmp_path}/asked\n{script}\n")
    path.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(path))


async def test_where_there_is_nothing_to_ask_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(tmp_path, monkeypatch, "exit 1")
    assert await engine_verdict(models(a="")) == []
    assert not (tmp_path / "asked").exists()


async def test_what_is_wrong_comes_back_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(tmp_path, monkeypatch, """echo '[[["models", "a", "engine"], "no such option"]]'""")
    found = await engine_verdict(ASKED)
    assert found == [Problem(("models", "a", "engine"), "no such option")]
    assert '"max_num_seqs":4' in (tmp_path / "asked").read_text()


@pytest.mark.parametrize("script", ["exit 1", "echo nonsense"])
async def test_no_answer_is_no_yes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    answers(tmp_path, monkeypatch, script)
    with pytest.raises(PlanRefused, match="no verdict"):
        await engine_verdict(ASKED)


async def test_one_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEADLINE_S", 0.05)
    answers(tmp_path, monkeypatch, "exec sleep 60")
    with pytest.raises(PlanRefused, match="no verdict"):
        await engine_verdict(ASKED)


def test_the_process_reads_a_fleet_and_writes_a_verdict() -> None:
    command = [sys.executable, "-m", "ops.dashboard.engine_verdict"]
    said = subprocess.run(
        command, input=models(a="").model_dump_json(), capture_output=True, text=True, check=True
    )
    assert said.stdout == "[]"
