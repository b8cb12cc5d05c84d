"""What holds for every command: JSON for programs, help for people, a shell's completion."""

import os
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from deployments.render import render
from ops.cli import main
from ops.commands.completion import WHERE, complete_model
from tests.deployments.fake_serve import FakeServe
from tests.deployments.fleets import fleet_of
from tests.ops.test_cli import _vllm_says_yes, flotilla, serve

__all__ = ["_vllm_says_yes", "serve"]

#: What they print is a file that another program reads, in that program's format.
PRINT_A_FILE = {"render-cluster", "render-front-door", "ray unit", "calibrate", "completion"}
#: What `ray up` and systemd run on a node: their result is an exit status.
RUN_BY_OTHERS = {"ray start", "ray stop", "ray drain"}


def leaves(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from leaves(below, (*path, name))
    if path and (not isinstance(command, click.Group) or command.invoke_without_command):
        yield " ".join(path), command


COMMANDS = dict(leaves(main))


def test_every_command_speaks_json_but_those_that_are_named_here() -> None:
    without = {
        name
        for name, command in COMMANDS.items()
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == PRINT_A_FILE | RUN_BY_OTHERS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_in_a_sentence(name: str) -> None:
    said = (COMMANDS[name].help or "").split("\n\n")[0].strip()
    assert said.endswith((".", ":")), said


def test_a_command_that_is_nearly_right_is_named() -> None:
    result = flotilla("statuss")
    assert result.exit_code == 2
    assert "Did you mean 'status'?" in result.stderr


@pytest.mark.parametrize("shell", WHERE)
def test_a_completion_script_asks_flotilla_itself(shell: str) -> None:
    result = flotilla("completion", shell)
    assert result.exit_code == 0
    assert "_FLOTILLA_COMPLETE" in result.stdout


def test_bash_completes_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from ops.cli import main; main(prog_name='flotilla')"],
        env={
            **os.environ,
            "_FLOTILLA_COMPLETE": "bash_complete",
            "COMP_WORDS": "flotilla inven",
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "plain,inventory\n"


def test_a_model_is_completed_from_the_fleet_that_runs(serve: FakeServe) -> None:
    serve.run(render(fleet_of()))
    command = COMMANDS["logs"]
    context = click.Context(command)
    assert complete_model(context, command.params[0], "") == ["small", "big"]
    assert complete_model(context, command.params[0], "b") == ["big"]


def test_without_a_cluster_nothing_is_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", "http://127.0.0.1:1")
    command = COMMANDS["logs"]
    assert complete_model(click.Context(command), command.params[0], "") == []
