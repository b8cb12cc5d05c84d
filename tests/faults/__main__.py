"""Runs tests that are named after rows of the fault table and writes `ops/reliability.md`.

python -m tests.faults                    those that need no Ray, the heavy ones left out
python -m tests.faults live               those of a folder or a file of `tests/`, heavy ones too

Exits as pytest does; the page says what failed. What was not run this time stands on it as it was
seen last: `proofs.json` keeps that.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.named import chosen, named_tests
from tests.faults.report import Proof, render, renewed

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "ops" / "reliability.md"
EVERYTHING = ("-m", "heavy or not heavy")
KEPT = Path(__file__).with_name("proofs.json")


def main(words: list[str]) -> int:
    tests = [test for found in named_tests(ROOT).values() for test in found]
    to_run = chosen(tests, words)
    if not to_run:
        sys.exit(f"no test that is named after a row is in {' '.join(words)}")
    with TemporaryDirectory() as folder:
        found = Path(folder) / "proofs.json"
        status = _run([*EVERYTHING, *to_run] if words else to_run, found)
        made = renewed(read(KEPT), read(found), tests)
    KEPT.write_text(json.dumps([asdict(proof) for proof in made], indent=1) + "\n")
    PAGE.write_text(render(made))
    return status


def _run(arguments: Iterable[str], report: Path) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.faults.recorder"]
    machine = f"{os.cpu_count()} CPU threads, Python {platform.python_version()}"
    environment = {
        **os.environ,
        "FAULTS_REPORT": str(report),
        "FAULTS_MEASURED": f"{datetime.now(UTC):%Y-%m-%d}, {machine}",
    }
    return subprocess.run([*command, *arguments], cwd=ROOT, env=environment).returncode


def read(path: Path) -> list[Proof]:
    """As they were kept; none where nothing was."""
    return [Proof(**given) for given in json.loads(path.read_text())] if path.exists() else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
