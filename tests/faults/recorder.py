"""A pytest plugin: keeps what tests that are named after rows of the fault table have measured.

pytest -p tests.faults.recorder tests/faults      with FAULTS_REPORT=FILE in the environment, and
                                                  FAULTS_MEASURED: when and on what
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
#: Of the tests that did not pass.
_outcomes: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A test has gone as the worst of its steps; the last one has all that was noted."""
    name = report.nodeid.rpartition("::")[2]
    found = ROW.match(name)
    if found is None:
        return
    if not report.passed:
        _outcomes.setdefault(report.nodeid, report.outcome)
    if report.when == "teardown":
        _proofs.append(_proof(int(found[1]), report))


def _proof(row: int, report: pytest.TestReport) -> Proof:
    notes: dict[str, Any] = dict(report.user_properties)
    return Proof(
        row=row,
        test=report.nodeid.partition("[")[0],
        outcome=_outcomes.get(report.nodeid, "passed"),
        seen=notes.get("seen", {}),
        recovery_s=notes.get("recovery_s"),
        measured=[str(value) for name, value in report.user_properties if name == "measured"],
        on=os.environ.get("FAULTS_MEASURED", ""),
    )


def pytest_sessionfinish() -> None:
    Path(os.environ["FAULTS_REPORT"]).write_text(json.dumps([asdict(proof) for proof in _proofs]))
