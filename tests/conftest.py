"""In CI everything runs: its machine has what the tests need, so a skip there hides a failure."""

import os
from collections.abc import Generator
from typing import Any

import hypothesis
import pytest

# How long an example takes says something about the machine, not about the code.
hypothesis.settings.register_profile("flotilla", deadline=None)
hypothesis.settings.load_profile("flotilla")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, Any]:
    """Turns a skip into a failure where `CI` is set."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report
