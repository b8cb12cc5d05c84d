"""Deploys are in the audit, whatever became of them and whenever it could take them."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

import pytest

from deployments.errors import FleetInvalid, StepFailed
from deployments.ledger import notes
from deployments.ledger.acts import ChangeFleet
from deployments.ledger.ledger import Ledger
from deployments.ledger.notes import CUT_SHORT, DONE, FOLDER, ended, kept
from deployments.ledger.questions import AuditRow, ListAudit


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("time.time", lambda: 1_000.5)
    path = tmp_path / "fleet.yaml"
    path.write_text("models: {}")
    return path


def acts(home: Path) -> list[ChangeFleet]:
    return [each.noted.act for each in ended(home)]


def test_a_deploy_is_noted_with_its_file_and_its_steps(tmp_path: Path, fleet: Path) -> None:
    with kept(tmp_path, "alice", "deploy", fleet) as note:
        assert ended(tmp_path) == []
        note.steps += ["add flotilla", "add small.0"]
    digest = hashlib.sha256(b"models: {}").hexdigest()
    steps = ("add flotilla", "add small.0")
    assert acts(tmp_path) == [ChangeFleet("deploy", str(fleet), digest, 1_000, steps, DONE)]


def test_one_that_fails_is_noted_with_what_it_had_done_and_why(tmp_path: Path, fleet: Path) -> None:
    failure = StepFailed("small.0", "out of memory", is_rolled_back=True)
    with suppress(StepFailed), kept(tmp_path, "alice", "deploy", fleet) as note:
        note.steps.append("add flotilla")
        raise failure
    [act] = acts(tmp_path)
    assert act.outcome == "failed: small.0: out of memory; what ran before is back"
    assert act.steps == ("add flotilla",)


def test_one_that_is_killed_on_the_way_is_ended_by_the_next(tmp_path: Path, fleet: Path) -> None:
    killed = kept(tmp_path, "alice", "deploy", fleet)
    killed.__enter__()
    assert acts(tmp_path) == []
    with kept(tmp_path, "alice", "up", fleet):
        pass
    assert [(act.command, act.outcome) for act in acts(tmp_path)] == [
        ("deploy", CUT_SHORT),
        ("up", DONE),
    ]


def test_a_file_that_is_wrong_and_a_down_of_nothing_are_no_acts(
    tmp_path: Path, fleet: Path
) -> None:
    with suppress(FleetInvalid), kept(tmp_path, "alice", "up", fleet):
        raise FleetInvalid([])
    with kept(tmp_path, "alice", "down", None) as note:
        note.outcome = None
    assert list((tmp_path / FOLDER).iterdir()) == []


async def test_the_audit_takes_each_note_once(
    home: Path, fleet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kept(home, "alice", "deploy", fleet):
        pass
    ledger = Ledger(home)
    with monkeypatch.context() as patch:
        patch.setattr(notes, "forget", lambda taken: None)  # killed before it could
        assert await ledger.take_notes() == 1
    assert await ledger.take_notes() == 1
    assert await ledger.take_notes() == 0
    rows = await ledger.answer(ListAudit(10))
    assert isinstance(rows, tuple)
    [row] = rows
    assert isinstance(row, AuditRow)
    assert (row.at_s, row.who, row.act, row.subject) == (1_000, "alice", "ChangeFleet", str(fleet))
    assert json.loads(row.detail)["outcome"] == DONE
    await ledger.close()


def test_what_is_no_note_is_put_aside_and_holds_nobody_up(tmp_path: Path, fleet: Path) -> None:
    with kept(tmp_path, "alice", "deploy", fleet):
        pass
    (tmp_path / FOLDER / "0.json").write_text("[{")
    assert [act.command for act in acts(tmp_path)] == ["deploy"]
    assert (tmp_path / FOLDER / "0.damaged").read_text() == "[{"
