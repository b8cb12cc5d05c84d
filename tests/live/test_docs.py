"""What the pages of the site say of a fleet that runs, said to one: its port, key and models stand
in for the page's.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.page import Block, Said, blocks, pages
from tests.live.fleet_under_test import ROOT, LiveFleet

pytestmark = pytest.mark.timeout(600)

COMMAND_S = 120


def test_what_the_pages_say_of_a_fleet_is_so(fleet: LiveFleet) -> None:
    seen: set[str] = set()
    for page in pages():
        kept: list[str] = []
        for block in blocks(page):
            if block.runs("fleet") and block.language == "python":
                runs_as_a_program(block, fleet)
            elif block.runs("fleet"):
                for said in block.commands():
                    if said.command.startswith("export "):
                        kept.append(said.command)
                    elif said.command not in seen:
                        answers(block, said, kept, fleet)
                        seen.add(said.command)
    assert seen


def answers(block: Block, said: Said, kept: list[str], fleet: LiveFleet) -> None:
    """Commands are bash's, with what the page exported before."""
    script = here("\n".join([*kept, said.command]), fleet)
    path = f"{Path(sys.executable).parent}:{fleet.environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        env={**fleet.environment, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )
    assert done.returncode == block.status, f"{block}: {script}\n{done.stderr}"
    expected = Said(said.command, here(said.answer, fleet))
    assert expected.is_answered_by(done.stdout), f"{block}: {script}\n{done.stdout}"


def runs_as_a_program(block: Block, fleet: LiveFleet) -> None:
    done = subprocess.run(
        [sys.executable, "-c", here(block.text, fleet)],
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )
    assert done.returncode == 0, f"{block}: {done.stderr}"
    assert done.stdout.strip(), f"{block} prints nothing"


def here(text: str, fleet: LiveFleet) -> str:
    """The page's text with this fleet's own values."""
    for theirs, ours in (
        ("http://127.0.0.1:8000/v1", fleet.base_url),
        ("http://127.0.0.1:8000", fleet.base_url.removesuffix("/v1")),
        ("sk-...", fleet.key),
        ("flotilla-demo", "demo"),
        ("~/.flotilla", str(fleet.home)),
    ):
        text = text.replace(theirs, ours)
    return text
