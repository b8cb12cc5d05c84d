"""The Controller answers a gateway at once with what should not wait, and late with nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployments import autoscale, autoscaler, controller, upkeep
from deployments.controller import Controller
from deployments.deployed import Deployed, told_without_inventory
from deployments.ledger.acts import CreateKey, RevokeKey, ScaleModel
from deployments.ledger.notes import ended, kept
from deployments.ledger.questions import ListAudit, ListKeys, SumUsage
from deployments.node_watch import NodeWatch
from deployments.render import render
from ops.control_client import ControlClient
from serving.limits import lender
from serving.limits.lease import Share, ShareReport, Use
from serving.limits.terms import Limits
from serving.metrics import families
from serving.metrics.exposition import Histogram
from serving.quarantine import Death
from serving.snapshot import DemandReport, GatewayReport, KeyNews, Load, Snapshot
from tests.deployments.fake_serve import FakeServe
from tests.deployments.ledger.records import count, lines, usage
from tests.deployments.test_plan import models, nodes
from tests.deployments.test_upkeep import NoNews
from tests.serving.reports import replica

GATEWAY = GatewayReport("gateway.1", "n", 1, "127.0.0.1:8000")
REPLICA = replica()


@pytest.fixture
async def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Controller]:
    monkeypatch.setenv("FLOTILLA_HOME", str(tmp_path))
    monkeypatch.setattr(controller, "SETTLE_S", 0.0)
    made = Controller()
    await made._informed()
    await made._bookkeeper.has_looked.wait()
    yield made
    await closed(made)


async def closed(made: Controller) -> None:
    await made._chronicle.close()
    if made._socket is not None:
        await made._socket.close()
    assert made._bookkeeping is not None
    tasks = [task for task in (made._bookkeeping, made._scraping._keeping) if task is not None]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await made._ledger.close()


async def asked(
    settled: Controller, known_version: int
) -> "tuple[asyncio.Task[Snapshot | None], float]":
    """A question that is under way, and when it began."""
    task = asyncio.create_task(settled.exchange(GATEWAY, known_version))
    await asyncio.sleep(0)
    return task, asyncio.get_running_loop().time()


async def test_status_is_told_also_of_gateways_that_replicas_died_at(settled: Controller) -> None:
    death = Death(b"\xff" * 16, ("demo.0#1",))
    await settled.exchange(replace(GATEWAY, deaths=(death,)), -1)
    await settled.check_health()
    async with ControlClient() as client:
        (gateway,) = (await client.status())["gateways"]
    assert gateway["gateway_id"] == GATEWAY.gateway_id


async def test_who_knows_nothing_is_answered_at_once(settled: Controller) -> None:
    snapshot = await asyncio.wait_for(settled.exchange(GATEWAY, -1), controller.SHORTEST_HOLD_S)
    assert snapshot is not None


async def test_a_new_replica_is_told_at_once_to_whoever_waits(
    settled: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "SHORTEST_HOLD_S", 60.0)
    monkeypatch.setattr(controller, "LONGEST_HOLD_S", 60.0)
    known = await settled.exchange(GATEWAY, -1)
    assert known is not None
    waiting = [await asked(settled, known.version) for _ in range(3)]
    await settled.report(REPLICA)
    for task, _ in waiting:
        snapshot = await asyncio.wait_for(task, 1)
        assert snapshot is not None
        assert [each.application for each in snapshot.replicas] == ["m.0"]


async def test_a_replica_that_leaves_and_a_new_key_are_told_at_once(
    settled: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "SHORTEST_HOLD_S", 60.0)
    monkeypatch.setattr(controller, "LONGEST_HOLD_S", 60.0)
    await settled.report(REPLICA)
    known = await settled.exchange(GATEWAY, -1)
    assert known is not None
    task, _ = await asked(settled, known.version)
    await settled.leave("m.0#1")
    gone = await asyncio.wait_for(task, 1)
    assert gone is not None
    assert gone.replicas == ()
    task, _ = await asked(settled, gone.version)
    assert (await settled.perform(CreateKey("k"), "alice")).refusal is None
    keyed = await asyncio.wait_for(task, 1)
    assert keyed is not None
    assert len(keyed.keys) == 1


async def test_a_death_is_told_at_once_and_two_of_them_put_a_request_in_quarantine(
    settled: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "SHORTEST_HOLD_S", 60.0)
    monkeypatch.setattr(controller, "LONGEST_HOLD_S", 60.0)
    known = await settled.exchange(GATEWAY, -1)
    assert known is not None
    task, _ = await asked(settled, known.version)
    for number in (1, 2):
        other = replace(GATEWAY, gateway_id=f"gateway.{number + 1}")
        told = replace(other, deaths=(Death(b"poison", (f"m.{number}#1",)),))
        await asyncio.wait_for(settled.exchange(told, known.version), 1)
    heard = await asyncio.wait_for(task, 1)
    assert heard is not None
    assert [death.replica_ids[0] for death in heard.deaths] == ["m.1#1"]
    later = await asyncio.wait_for(settled.exchange(GATEWAY, heard.version), 1)
    assert later is not None
    assert [death.replica_ids for death in later.deaths] == [("m.1#1", "m.2#1")]


async def test_a_load_is_told_with_the_next_answer_and_wakes_nobody(
    settled: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "SHORTEST_HOLD_S", 0.05)
    monkeypatch.setattr(controller, "LONGEST_HOLD_S", 0.05)
    await settled.report(REPLICA)
    known = await settled.exchange(GATEWAY, -1)
    assert known is not None
    task, began_s = await asked(settled, known.version)
    await settled.report(replace(REPLICA, load=Load(running=7)))
    snapshot = await task
    assert snapshot is not None
    assert snapshot.replicas[0].load.running == 7
    assert asyncio.get_running_loop().time() - began_s >= 0.04


async def test_without_news_the_answer_is_none_and_comes_in_time(
    settled: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "SHORTEST_HOLD_S", 0.01)
    monkeypatch.setattr(controller, "LONGEST_HOLD_S", 0.02)
    known = await settled.exchange(GATEWAY, -1)
    assert known is not None
    assert await asyncio.wait_for(settled.exchange(GATEWAY, known.version), 5) is None


async def test_a_controller_that_has_just_started_gives_out_no_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOTILLA_HOME", str(tmp_path))
    monkeypatch.setattr(controller, "SHORTEST_HOLD_S", 0.01)
    monkeypatch.setattr(controller, "LONGEST_HOLD_S", 0.02)
    starting = Controller()
    assert await starting.exchange(GATEWAY, -1) is None
    await closed(starting)


async def test_an_act_that_is_refused_says_why(settled: Controller) -> None:
    reply = await settled.perform(CreateKey("k", tenant="lab"), "alice")
    assert reply.refusal == "there is no tenant lab: `flotilla tenants create lab` makes it"


async def test_a_revoked_key_is_told_at_once(
    settled: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "SHORTEST_HOLD_S", 60.0)
    monkeypatch.setattr(controller, "LONGEST_HOLD_S", 60.0)
    await settled.perform(CreateKey("k"), "alice")
    known = await settled.exchange(GATEWAY, -1)
    assert known is not None
    task, _ = await asked(settled, known.version)
    await settled.perform(RevokeKey(known.keys[0].id), "alice")
    told = await asyncio.wait_for(task, 1)
    assert told is not None
    assert (told.keys, told.key_news) == ((), KeyNews.CURRENT)


async def test_usage_is_acknowledged_when_it_is_in_the_ledger(settled: Controller) -> None:
    assert await settled.record_usage(lines(usage("a", started_s=time.time())))
    assert await settled.record_counts(lines(count("a", completion_tokens=5)))
    reply = await settled.answer(SumUsage("2000-01-01", "9999-12-31", ("key",)))
    assert [(row.by, row.requests, row.accelerator_s) for row in reply.value] == [
        (("key1",), 1, 0.25)
    ]


async def test_a_deploy_that_ended_before_it_started_is_in_its_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOTILLA_HOME", str(tmp_path))
    with kept(tmp_path, "alice", "deploy", None):
        pass
    one = Controller()
    await one._informed()
    async with asyncio.timeout(5):
        while ended(tmp_path):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
    [row] = (await one.answer(ListAudit(5))).value
    assert (row.who, row.act) == ("alice", "ChangeFleet")
    await closed(one)


async def test_without_its_ledger_it_acknowledges_nothing_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOTILLA_HOME", str(tmp_path))
    monkeypatch.setattr(controller, "SETTLE_S", 0.0)
    (tmp_path / "ledger.sqlite").write_bytes(b"no database" * 1_000)
    made = Controller()
    await made.report(REPLICA)
    snapshot = await made.exchange(GATEWAY, -1)
    assert snapshot is not None
    assert (len(snapshot.replicas), snapshot.key_news) == (1, KeyNews.UNREAD)
    assert not await made.record_usage(lines(usage("a")))
    assert "cannot be used" in str((await made.answer(ListKeys())).refusal)
    await closed(made)


async def test_told_of_a_fleet_it_starts_a_replica_for_the_clients_that_wait(
    settled: Controller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All the way from a gateway's report to Serve's API and back to the gateway."""
    monkeypatch.setattr(autoscale, "GROW_AFTER_S", 0.0)
    monkeypatch.setattr(autoscaler, "LOOK_PERIOD_S", 0.01)
    monkeypatch.setattr(upkeep, "node_watch", lambda: NodeWatch(NoNews(), time.monotonic))
    fleet, inventory = models(a="replicas: {min: 0, max: 1}"), nodes(8)
    async with FakeServe().serving() as serve:
        monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", serve.url)
        monkeypatch.setenv("RAY_AUTH_TOKEN", serve.token)
        serve.run(render(fleet, {}, inventory))
        await settled.reconfigure(Deployed(fleet, inventory).to_config())
        waiting = replace(GATEWAY, demands=(DemandReport("a", queued=1),))
        known = -1
        while "a.0" not in serve.running:
            heard = await settled.exchange(waiting, known)
            known = known if heard is None else heard.version
        news = await settled.exchange(waiting, -1)
        assert news is not None
        assert [each.replica_set for each in news.outlooks] == ["a"]
        shown = (await settled.status())["scaling"]
        assert shown["counts"] == {"a": 1}
        assert "a 0 -> 1" in shown["history"][0]
        await settled.check_health()
        async with ControlClient(tmp_path) as client:
            assert (await client.status())["scaling"]["counts"] == {"a": 1}
        kinds = [event["kind"] for event in (await settled.status())["events"]]
        assert kinds[:2] == ["scaling", "placement"]
        await _ended(settled)
        with pytest.raises(RuntimeError, match="no longer follows"):
            await settled.check_health()


async def test_without_an_inventory_the_fleet_says_how_many_replicas_there_should_be(
    settled: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "node_watch", lambda: NodeWatch(NoNews(), time.monotonic))
    fleet = models(a="replicas: {min: 2, max: 3}", b="replicas: {min: 0, max: 2}")
    async with FakeServe().serving() as serve:
        monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", serve.url)
        await settled.reconfigure(Deployed(fleet, nodes(8)).to_config())
        await settled.reconfigure(told_without_inventory(fleet))
    assert wanted(settled) == {"a": 2, "b": 0}
    assert (await settled.status())["scaling"] is None
    await settled.check_health()


def wanted(running: Controller) -> dict[str, float | Histogram]:
    family = families.REPLICAS_WANTED
    return {each.labels[0]: each.value for each in running._readings() if each.family is family}


async def _ended(running: Controller) -> None:
    assert running._upkeep is not None
    await running._upkeep.end()


async def test_an_order_is_refused_where_nobody_keeps_the_fleet_in_step(
    settled: Controller,
) -> None:
    reply = await settled.perform(ScaleModel("a", 1, 0), "ada")
    assert reply.refusal is not None
    assert "without an inventory" in reply.refusal
    assert (await settled.answer(ListAudit(10))).value == ()


async def test_an_order_that_is_obeyed_is_in_the_audit_and_one_that_is_refused_is_not(
    settled: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "node_watch", lambda: NodeWatch(NoNews(), time.monotonic))
    fleet, inventory = models(a="replicas: {min: 0, max: 2}"), nodes(8)
    async with FakeServe().serving() as serve:
        monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", serve.url)
        monkeypatch.setenv("RAY_AUTH_TOKEN", serve.token)
        serve.run(render(fleet, {}, inventory))
        await settled.reconfigure(Deployed(fleet, inventory).to_config())
        assert settled._upkeep is not None
        await settled._upkeep.autoscaler.look()
        assert (await settled.perform(ScaleModel("a", 3, 0), "ada")).refusal is not None
        assert (await settled.perform(ScaleModel("a", 2, 0), "ada")).refusal is None
        assert (await settled.status())["scaling"]["counts"] == {"a": 2}
        await _ended(settled)
    [row] = (await settled.answer(ListAudit(10))).value
    assert (row.who, row.act, row.subject) == ("ada", "ScaleModel", "a")


async def test_who_ended_last_and_who_is_silent_is_told_to_who_looks(
    settled: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await settled.record_usage(lines(usage("first"), usage("second")))
    assert [each.request_id for each in await settled.recent(1)] == ["second"]
    await settled.report(REPLICA)
    assert (await settled.status())["silent"] == ()
    monkeypatch.setattr(controller, "DOUBT_S", -1.0)
    assert (await settled.status())["silent"] == (REPLICA.replica_id,)


async def test_a_limited_key_is_divided_among_gateways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOTILLA_HOME", str(tmp_path))
    monkeypatch.setattr(controller, "SETTLE_S", 0.0)
    monkeypatch.setattr(lender, "SETTLE_S", 0.0)
    one = Controller()
    await one.perform(CreateKey("k", limits=Limits(requests_per_minute=10)), "alice")
    snapshot = await one.exchange(GATEWAY, -1)
    assert snapshot is not None
    [key] = snapshot.keys
    assert key.limits == Limits(requests_per_minute=10)
    first = await one.lend(ShareReport("a", 1, 0.0))
    assert first is not None
    assert first.base == 1.0
    use = Use(key.id, 0.8, 0.8, requests=8)
    await one.lend(ShareReport("a", 2, 0.25, (use,)))
    second = await one.lend(ShareReport("b", 1, 0.0))
    assert second is not None
    assert second.shares == (Share(key.id, 0.0, requests_elsewhere=8),)
    await one.lend(ShareReport("a", 3, 0.0, (use,)))
    third = await one.lend(ShareReport("b", 2, 0.0))
    assert third is not None
    assert [share.share for share in third.shares] == pytest.approx([0.025])
