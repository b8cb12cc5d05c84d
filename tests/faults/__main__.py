"""Runs every test that is named after a row of the fault table and writes `ops/reliability.md`.

python -m tests.faults            exits as pytest does; the page says what failed
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.named import named_tests
from tests.faults.report import Proof, render

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "ops" / "reliability.md"


def main() -> int:
    with TemporaryDirectory() as folder:
        found = Path(folder) / "proofs.json"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.faults.recorder"]
        tests = [test for found in named_tests(ROOT).values() for test in found]
        ended = subprocess.run(
            [*command, *tests], cwd=ROOT, env={**os.environ, "FAULTS_REPORT": str(found)}
        )
        proofs = [Proof(**given) for given in json.loads(found.read_text())]
    machine = f"{os.cpu_count()} CPU threads, Python {platform.python_version()}"
    PAGE.write_text(render(proofs, machine))
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
