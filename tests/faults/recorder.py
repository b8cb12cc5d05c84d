"""A pytest plugin: keeps what tests that are named after rows of the fault table have measured.

pytest -p tests.faults.recorder tests/faults      with FAULTS_REPORT=FILE in the environment
"""

import json
import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.faults.report import Proof

ROW = re.compile(r"test_(\d\d)_(\w+)")
_proofs: list[Proof] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Of each test one report says how it went: of its call, or of a step before that failed."""
    name = report.nodeid.rpartition("::")[2]
    found = ROW.match(name)
    if found is None or (report.when != "call" and report.passed):
        return
    notes: dict[str, Any] = dict(report.user_properties)
    _proofs.append(
        Proof(
            row=int(found[1]),
            test=report.nodeid.partition("[")[0],
            outcome=report.outcome,
            seen=notes.get("seen", {}),
            recovery_s=notes.get("recovery_s"),
            measured=[str(value) for name, value in report.user_properties if name == "measured"],
        )
    )


def pytest_sessionfinish() -> None:
    Path(os.environ["FAULTS_REPORT"]).write_text(json.dumps([asdict(proof) for proof in _proofs]))
