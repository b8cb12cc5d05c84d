"""Requests for a model without a replica wait for one that comes, within bounds; all others are
told at once.
"""

import asyncio
import json
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from serving.gateway import queue
from serving.routing.prefix import BYTES_PER_TOKEN
from serving.snapshot import Outlook, Phase, ReplicaReport, Snapshot
from tests.fakes import TOKEN, FakeReplica
from tests.serving.gateway.rig import HELLO, QUICK, Rig, gateway, model


def publish(rig: Rig, ready_in_s: float | None, *reports: ReplicaReport) -> None:
    """What gateways hear of the model `tiny`: whether a replica will come, and those there are."""
    outlooks = () if ready_in_s is None else (Outlook("tiny", ready_in_s),)
    rig._version += 1
    rig.core.apply_snapshot(Snapshot(rig._version, rig.keys, reports, TOKEN, outlooks))


def starting(replica: FakeReplica) -> ReplicaReport:
    """Listed, and of no use yet."""
    return replace(replica.report(), phase=Phase.STARTING)


async def waiting(rig: Rig, requests: int) -> None:
    """Returns when so many wait."""
    while rig.core.meters.of("tiny").queued != requests:  # noqa: ASYNC110 - a plain count
        await asyncio.sleep(0)


async def test_a_request_waits_for_a_replica_that_comes(
    tmp_path: Path, replica: FakeReplica
) -> None:
    async with gateway(tmp_path, replica) as rig:
        publish(rig, 1.0)
        tasks = [asyncio.create_task(rig.chat()) for _ in range(5)]
        await waiting(rig, 5)
        report = rig.core.meters.of("tiny").report("tiny")
        assert report.tokens_in_flight == 5 * (len(json.dumps(HELLO)) // BYTES_PER_TOKEN)
        publish(rig, 1.0, starting(replica))
        await asyncio.sleep(0)
        assert rig.core.meters.of("tiny").queued == 5
        publish(rig, 1.0, replica.report())
        replies = await asyncio.gather(*tasks)
        assert [reply.status for reply in replies] == [200] * 5
        report = rig.core.meters.of("tiny").report("tiny")
        assert (report.arrivals, report.queued, report.tokens_in_flight) == (5, 0, 0)


async def test_a_model_that_nobody_starts_is_refused_at_once(
    tmp_path: Path, replica: FakeReplica
) -> None:
    async with gateway(tmp_path, replica) as rig:
        publish(rig, None, starting(replica))
        reply = await rig.chat()
        assert (reply.status, reply.error["code"]) == (503, "model_unavailable")


@pytest.mark.parametrize(("ready_in_s", "told"), [(15, "15"), (1000, "60"), (inf, "60")])
async def test_what_comes_too_late_is_refused_at_once_with_an_honest_retry_after(
    tmp_path: Path, replica: FakeReplica, ready_in_s: float, told: str
) -> None:
    async with gateway(tmp_path, replica, deadlines=replace(QUICK, request_s=10)) as rig:
        publish(rig, ready_in_s)
        reply = await rig.chat()
        assert (reply.status, reply.headers["retry-after"]) == (503, told)


async def test_who_waited_in_vain_hears_it_before_the_deadline(
    tmp_path: Path, replica: FakeReplica
) -> None:
    deadlines = replace(QUICK, request_s=queue.MARGIN_S + 0.05)
    async with gateway(tmp_path, replica, deadlines=deadlines) as rig:
        publish(rig, 0.01)
        reply = await rig.chat()
        assert (reply.status, reply.error["code"]) == (503, "model_unavailable")
        assert rig.core.queue.waiting() == []


async def test_when_nobody_starts_it_any_more_those_who_wait_are_told(
    tmp_path: Path, replica: FakeReplica
) -> None:
    async with gateway(tmp_path, replica) as rig:
        publish(rig, 5.0)
        task = asyncio.create_task(rig.chat())
        await waiting(rig, 1)
        publish(rig, None, starting(replica))
        assert (await task).status == 503


async def test_a_client_that_leaves_waits_no_longer(tmp_path: Path, replica: FakeReplica) -> None:
    async with gateway(tmp_path, replica) as rig:
        publish(rig, 5.0)
        client = await rig.connect()
        await client.request("POST", "/v1/chat/completions", HELLO)
        await waiting(rig, 1)
        client.reset()
        await waiting(rig, 0)
        assert rig.core.queue.waiting() == []


@pytest.mark.parametrize(("limit", "value"), [("MAX_REQUESTS", 2), ("MAX_BYTES", 250)])
async def test_a_full_queue_refuses_the_next_and_keeps_those_that_wait(
    tmp_path: Path,
    replica: FakeReplica,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    value: int,
) -> None:
    monkeypatch.setattr(queue, limit, value)
    async with gateway(tmp_path, replica) as rig:
        publish(rig, 1.0)
        size = len(json.dumps(HELLO))
        fitting = value if limit == "MAX_REQUESTS" else value // size
        tasks = [asyncio.create_task(rig.chat()) for _ in range(fitting)]
        await waiting(rig, fitting)
        assert (await rig.chat()).status == 503
        publish(rig, 1.0, replica.report())
        assert {reply.status for reply in await asyncio.gather(*tasks)} == {200}


async def test_a_fallback_without_replicas_is_waited_for_too(
    tmp_path: Path, replica: FakeReplica
) -> None:
    models = [
        model("small", replica_set="other", window_tokens=40, fallback="large"),
        model("large", replica_set="tiny", window_tokens=1_000),
    ]
    other = FakeReplica(replica_id="other.0-a", replica_set="other")
    async with gateway(tmp_path, replica, models=models) as rig:
        publish(rig, 1.0, other.report())
        messages = [{"role": "user", "content": "x" * 500}]
        task = asyncio.create_task(rig.chat(model="small", messages=messages, max_tokens=4))
        await waiting(rig, 1)
        publish(rig, 1.0, other.report(), replica.report())
        assert (await task).json["model"] == "large"


async def test_only_streams_that_found_a_replica_at_once_are_timed(
    tmp_path: Path, replica: FakeReplica
) -> None:
    async with gateway(tmp_path, replica) as rig:
        await rig.chat(stream=True)
        await rig.chat()
        publish(rig, 1.0)
        task = asyncio.create_task(rig.chat(stream=True))
        await waiting(rig, 1)
        publish(rig, 1.0, replica.report())
        assert (await task).status == 200
        report = rig.core.meters.of("tiny").report("tiny")
        assert (report.arrivals, sum(report.first_tokens)) == (3, 1)
