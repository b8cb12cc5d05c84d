"""Short soaks, under clients of every kind: every kind of fault once, and one fault for long."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.faults.recovering import Note
from tests.soak.asking import OVERLOADED
from tests.soak.fault import Fault, Kind
from tests.soak.health import GROWTH_MIB
from tests.soak.pace import SHORT, full
from tests.soak.report import page
from tests.soak.soak import soak


@pytest.mark.heavy  # starts a dozen processes and kills most of them
@pytest.mark.timeout(600)  # each may take its time to start, where others use the machine too
async def test_whatever_breaks_every_answer_is_one_record_and_nothing_is_kept() -> None:
    with TemporaryDirectory(prefix="soak-", dir="/tmp") as folder:
        report = await soak(SHORT, 7, Path(folder))
    assert report.findings == [], page(report)
    assert report.kinds["200 complete"] > 50
    assert report.records > 50
    assert len(report.recoveries) >= 10


@pytest.mark.heavy
@pytest.mark.timeout(1200)
async def test_67_a_ledger_away_for_ten_minutes_costs_no_client_and_no_record_and_little_memory(
    record_property: Note,
) -> None:
    away = Fault(Kind.LEDGER_AWAY, 0, at_s=20.0, lasts_s=600.0)
    pace = replace(full(minutes=10.5), most_running=32)  # a burst fills no queue
    with TemporaryDirectory(prefix="soak-", dir="/tmp") as folder:
        report = await soak(pace, 7, Path(folder), [away])
    assert report.findings == [], page(report)  # lost, doubled, summed otherwise, memory that grew
    [recovery] = report.recoveries
    assert recovery.failed == 0
    assert OVERLOADED not in report.kinds
    assert report.records > 5_000
    gateways = [life for life in report.lives if life.process.startswith("gateway")]
    grew_mib = max(life.growth_mib for life in gateways)
    assert grew_mib <= GROWTH_MIB
    record_property("recovery_s", recovery.worst_s)
    record_property("seen", {kind: count for kind, count in report.kinds.items() if kind[0] != "4"})
    record_property("measured", f"a gateway's memory grew by {grew_mib:.1f} MiB at most")
