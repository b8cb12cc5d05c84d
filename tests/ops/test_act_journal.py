"""Deploys are in the audit, whatever became of them and whenever it could be told."""

import hashlib
from contextlib import suppress
from pathlib import Path

import pytest

from deployments.errors import FleetInvalid, StepFailed
from deployments.ledger.acts import ChangeFleet
from ops import act_journal, ledger_client
from ops.act_journal import CUT_SHORT, DONE, FILE, kept, tell
from ops.errors import ControllerMissing, OpsError


class Audit:
    """What the ledger has heard, while it listens."""

    def __init__(self) -> None:
        self.heard: list[ChangeFleet] = []
        self.listens = True

    def perform(self, act: ChangeFleet) -> str:
        if not self.listens:
            raise ControllerMissing("nothing is deployed")
        self.heard.append(act)
        return ""

    @property
    def outcomes(self) -> list[str]:
        return [act.outcome for act in self.heard]


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Audit:
    made = Audit()
    monkeypatch.setenv("FLOTILLA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(ledger_client, "perform", made.perform)
    monkeypatch.setattr(act_journal.time, "time", lambda: 1_000.5)
    return made


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.yaml"
    path.write_text("models: {}")
    return path


def test_a_deploy_is_told_with_its_file_and_its_steps(audit: Audit, fleet: Path) -> None:
    with kept("deploy", fleet) as note:
        note.steps += ["add flotilla", "add small.0"]
    assert tell() is None
    digest = hashlib.sha256(b"models: {}").hexdigest()
    steps = ("add flotilla", "add small.0")
    assert audit.heard == [ChangeFleet("deploy", str(fleet), digest, 1_000, steps, DONE)]
    assert tell() is None
    assert len(audit.heard) == 1


def test_one_that_fails_is_told_with_what_it_had_done_and_why(audit: Audit, fleet: Path) -> None:
    failure = StepFailed("small.0", "out of memory", is_rolled_back=True)
    with suppress(StepFailed), kept("deploy", fleet) as note:
        note.steps.append("add flotilla")
        raise failure
    tell()
    assert audit.outcomes == ["failed: small.0: out of memory; what ran before is back"]
    assert audit.heard[0].steps == ("add flotilla",)


def test_one_that_is_killed_on_the_way_is_told_by_the_next(audit: Audit, fleet: Path) -> None:
    killed = kept("deploy", fleet)
    killed.__enter__()
    with kept("deploy", fleet):
        pass
    tell()
    assert audit.outcomes == [CUT_SHORT, DONE]


def test_what_nobody_hears_is_kept_and_told_in_its_order(audit: Audit, fleet: Path) -> None:
    audit.listens = False
    for command in ("up", "down"):
        with kept(command, fleet):
            pass
        assert tell() is not None
    audit.listens = True
    with kept("deploy", fleet):
        pass
    assert tell() is None
    assert [act.command for act in audit.heard] == ["up", "down", "deploy"]


def test_a_file_that_is_wrong_and_a_down_of_nothing_are_no_acts(audit: Audit, fleet: Path) -> None:
    with pytest.raises(FleetInvalid), kept("up", fleet):
        raise FleetInvalid([])
    with kept("down", None) as note:
        note.outcome = None
    tell()
    assert audit.heard == []


def test_a_journal_that_is_damaged_is_not_overwritten(
    audit: Audit, fleet: Path, tmp_path: Path
) -> None:
    path = tmp_path / "home" / FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text("[{")
    with pytest.raises(OpsError, match="move it away"), kept("deploy", fleet):
        pass
    assert path.read_text() == "[{"
    assert audit.heard == []
