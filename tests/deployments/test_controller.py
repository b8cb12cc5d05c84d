"""The Controller answers a gateway at once with what should not wait, and late with nothing."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from deployments import controller
from deployments.controller import Controller
from serving.snapshot import GatewayReport, Load, Phase, ReplicaReport, Snapshot

GATEWAY = GatewayReport("gateway.1", "n", 1, "127.0.0.1:8000")
REPLICA = ReplicaReport(
    replica_id="m.0#1",
    application="m.0",
    replica_set="m",
    node="n",
    stages=("n",),
    address="n:1",
    served_name="m",
    phase=Phase.READY,
)


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Controller:
    monkeypatch.setenv("FLOTILLA_HOME", str(tmp_path))
    monkeypatch.setattr(controller, "SETTLE_S", 0.0)
    return Controller()


async def asked(
    settled: Controller, known_version: int
) -> "tuple[asyncio.Task[Snapshot | None], float]":
    """A question that is under way, and when it began."""
    task = asyncio.create_task(settled.exchange(GATEWAY, known_version))
    await asyncio.sleep(0)
    return task, asyncio.get_running_loop().time()


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
    await settled.create_key("k")
    keyed = await asyncio.wait_for(task, 1)
    assert keyed is not None
    assert len(keyed.keys) == 1


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
    assert await Controller().exchange(GATEWAY, -1) is None
