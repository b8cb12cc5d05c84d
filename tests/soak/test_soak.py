"""A short soak: every kind of fault once, under clients of every kind, and nothing is lost."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.soak.pace import SHORT
from tests.soak.report import page
from tests.soak.soak import soak


@pytest.mark.heavy
@pytest.mark.timeout(600)
async def test_whatever_breaks_every_answer_is_one_record_and_nothing_is_kept() -> None:
    with TemporaryDirectory(prefix="soak-", dir="/tmp") as folder:
        report = await soak(SHORT, 7, Path(folder))
    assert report.findings == [], page(report)
    assert report.kinds["200 complete"] > 50
    assert report.records > 50
    assert len(report.recoveries) >= 10
