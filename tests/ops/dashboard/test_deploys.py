"""Another fleet is made to run as it was shown, by one at a time, or not at all."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.problem import Problem
from deployments.deployed import Deployed
from deployments.errors import AnotherWriter, FileInvalid
from deployments.fleet import Fleet
from deployments.ledger.notes import ended
from deployments.lock import alone
from deployments.past_fleets import PastFleets
from deployments.serve_control import Application, Status
from ops.dashboard.deploys import Deploys
from ops.dashboard.view.deploy import DeployView
from ops.dashboard.wanted import Wanted, again, pasted
from ops.errors import CommandNeeded, FleetUnknown
from tests.deployments.test_plan import models
from tests.ops.dashboard.fake_fleet import FakeControl, FakeFleet

A = "a: {source: org/x, max_model_len: 8192, tensor: 4, replicas: {min: 2, max: 3}}"
#: The one that runs, without its model `b`.
ONLY_A = f"models:\n  {A}\n"


def wanted(text: str = ONLY_A) -> Wanted:
    return pasted(text, "mine.yaml")


async def over(deploys: Deploys) -> DeployView:
    """What it is when it is over."""
    while deploys.is_at_work:  # noqa: ASYNC110 - as a page finds out, by asking again
        await asyncio.sleep(0)
    assert deploys.view is not None
    return deploys.view


async def done(deploys: Deploys, what: Wanted) -> DeployView:
    deploys.begin(what, (await deploys.plan(what)).seal, "ada (dashboard)")
    return await over(deploys)


async def test_a_plan_is_shown_as_the_command_prints_it_and_changes_nothing(
    deploys: Deploys, control: FakeControl
) -> None:
    shown = await deploys.plan(wanted())
    assert "=  keep    a.0" in shown.text
    assert "-  stop    b.0" in shown.text
    assert (shown.is_blocked, shown.is_nothing) == (False, False)
    assert shown.summary.startswith("1 stop, 2 keep; ")
    assert control.puts == 0


async def test_what_was_shown_is_done_step_by_step_and_in_the_audit(
    deploys: Deploys, fleet: FakeFleet, tmp_path: Path
) -> None:
    view = await done(deploys, wanted())
    assert (view.outcome, view.is_well) == ("done: the fleet runs", True)
    assert [line.split(":")[0] for line in view.steps] == [
        "[1/2] change flotilla",
        "[2/2] remove b.0",
    ]
    assert "b.0" not in fleet.applications
    [note] = ended(tmp_path)
    assert note.noted.who == "ada (dashboard)"
    act = note.noted.act
    assert (act.command, act.path, act.outcome) == ("deploy", "mine.yaml", "done")
    assert act.steps == ("change flotilla", "remove b.0")
    assert act.digest == wanted().digest


def _one_more(fleet: FakeFleet) -> None:
    fleet.applications["a.2"] = fleet.applications["a.0"]


def _one_failed(fleet: FakeFleet) -> None:
    was = fleet.applications["a.1"]
    fleet.applications["a.1"] = Application("a.1", Status.DEPLOY_FAILED, "", was.config, ())


@pytest.mark.parametrize("change", [_one_more, _one_failed])
async def test_a_confirmation_of_a_plan_that_has_become_another_is_refused(
    deploys: Deploys,
    fleet: FakeFleet,
    control: FakeControl,
    tmp_path: Path,
    change: Callable[[FakeFleet], None],
) -> None:
    shown = await deploys.plan(wanted())
    change(fleet)
    deploys.begin(wanted(), shown.seal, "ada")
    view = await over(deploys)
    assert not view.is_well
    assert "show it again" in str(view.outcome)
    assert control.puts == 0
    assert ended(tmp_path) == []


async def test_another_text_than_the_one_shown_is_refused(
    deploys: Deploys, control: FakeControl
) -> None:
    shown = await deploys.plan(wanted())
    deploys.begin(wanted(ONLY_A.replace("min: 2", "min: 1")), shown.seal, "ada")
    assert "show it again" in str((await over(deploys)).outcome)
    assert control.puts == 0


async def test_what_is_blocked_says_where_and_is_not_done_though_it_was_confirmed(
    deploys: Deploys, control: FakeControl, tmp_path: Path
) -> None:
    huge = wanted(f"{ONLY_A}  c: {{source: org/x, max_model_len: 8192, tensor: 16}}\n")
    shown = await deploys.plan(huge)
    assert shown.is_blocked
    assert "mine.yaml:3: models.c" in shown.text
    deploys.begin(huge, shown.seal, "ada")
    view = await over(deploys)
    assert "models.c" in str(view.outcome)
    assert control.puts == 0
    assert ended(tmp_path) == []


async def test_a_step_that_fails_is_taken_back_and_said(
    deploys: Deploys, fleet: FakeFleet, control: FakeControl, tmp_path: Path
) -> None:
    control.broken["c.0"] = "RuntimeError: out of memory"
    view = await done(deploys, wanted(f"{ONLY_A}  c: {{source: org/x, max_model_len: 8192}}\n"))
    assert view.outcome == "c.0: RuntimeError: out of memory; what ran before is back"
    assert not view.is_well
    assert "c.0" not in fleet.applications
    assert ended(tmp_path)[0].noted.act.outcome.startswith("failed: c.0")


async def test_one_at_a_time_and_none_beside_a_command(
    deploys: Deploys, control: FakeControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = await deploys.plan(wanted())
    control.may_answer.clear()
    deploys.begin(wanted(), shown.seal, "ada")
    with pytest.raises(AnotherWriter):
        deploys.begin(wanted(), shown.seal, "bob")
    control.may_answer.set()
    assert (await over(deploys)).who == "ada"
    monkeypatch.setattr("ops.dashboard.deploys.LOCK_PATIENCE_S", 0.0)
    with alone():
        deploys.begin(wanted(), shown.seal, "ada")
        assert "is at work here" in str((await over(deploys)).outcome)


async def test_a_dashboard_that_stops_gives_up_and_lets_go_of_the_lock(
    deploys: Deploys, control: FakeControl
) -> None:
    shown = await deploys.plan(wanted())
    control.may_answer.clear()
    control.is_asked.clear()
    deploys.begin(wanted(), shown.seal, "ada")
    await control.is_asked.wait()
    await deploys.close()
    with alone(patience_s=0):
        assert control.puts == 0


async def test_what_ran_before_runs_again_after_its_plan_was_shown(
    deploys: Deploys, fleet: FakeFleet, tmp_path: Path
) -> None:
    PastFleets(tmp_path).add(fleet.fleet, 1.0)
    await done(deploys, wanted())
    before = deploys.past_fleet(deploys.past()[0].id)
    assert "+  start   b.0" in (await deploys.plan(before)).text
    view = await done(deploys, before)
    assert view.title.startswith("rollback of the fleet ")
    assert "b.0" in fleet.applications
    assert (await deploys.plan(before)).is_nothing
    with pytest.raises(FleetUnknown):
        deploys.past_fleet("0" * 64)


async def test_what_would_move_the_dashboard_is_the_commands_to_do(deploys: Deploys) -> None:
    with pytest.raises(CommandNeeded, match="moves this dashboard"):
        await deploys.plan(wanted(f"gateway: {{port: 9000}}\n{ONLY_A}"))


async def test_without_an_inventory_it_is_the_commands_to_do(
    deploys: Deploys, fleet: FakeFleet
) -> None:
    del fleet.applications["flotilla"]
    with pytest.raises(CommandNeeded, match="without an inventory"):
        await deploys.plan(wanted())


async def test_what_vllm_does_not_take_is_said_with_its_line(
    control: FakeControl, tmp_path: Path
) -> None:
    async def verdict(_: Fleet) -> list[Problem]:
        return [Problem(("models", "a"), "no such option")]

    with pytest.raises(FileInvalid, match=r"^mine\.yaml:2: models\.a: no such option$"):
        await Deploys(control, tmp_path, verdict).plan(wanted())


def test_nodes_that_the_file_names_are_not_followed_and_that_is_said(fleet: FakeFleet) -> None:
    (note,) = wanted(f"inventory: cluster.yaml\n{ONLY_A}").notes
    assert "not on /cluster.yaml" in note
    assert wanted().notes == []
    assert Deployed(wanted().fleet, fleet.inventory).to_config()["inventory"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: {a: {source: ./model, max_model_len: 9}}", "mine.yaml:1: models.a.source: is a"),
        ("models: {a: {sauce: x}}", "mine.yaml:1: models.a"),
        ("models:\n  a: [", "mine.yaml:2: not YAML"),
        ("", "mine.yaml:1: is not a fleet"),
        ("models: {a: 7}\n" + "#" * (300 << 10), "mine.yaml:1: is larger than 256 KiB"),
    ],
)
def test_a_text_that_is_wrong_is_refused_as_the_commands_do(text: str, said: str) -> None:
    with pytest.raises(FileInvalid) as refused:
        wanted(text)
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize("name", ["", "a/b.yaml", "x" * 81, "a\nb"])
def test_a_name_that_is_none_of_a_file_is_not_taken(name: str) -> None:
    assert pasted(ONLY_A, name).name == "fleet.yaml"


def test_line_ends_of_a_browser_are_no_change() -> None:
    assert wanted(ONLY_A.replace("\n", "\r\n")) == wanted()


def test_a_fleet_that_ran_has_no_lines(tmp_path: Path) -> None:
    PastFleets(tmp_path).add(models(a=""), 1.0)
    found = again(PastFleets(tmp_path).newest()[0])
    problem = Problem(("models", "a"), "fits nowhere")
    assert found.placed([problem]) == (problem,)
