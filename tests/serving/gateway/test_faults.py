"""What engines say when they refuse, in our words. Replicas that fail: tests/faults."""

from dataclasses import replace
from pathlib import Path

import pytest

from serving.snapshot import Load, Phase
from tests.fakes import (
    Behaviour,
    FakeReplica,
    answers,
    errs_after,
    fake_replica,
    hangs,
    refuses,
)
from tests.faults.recovering import Note, recovering
from tests.serving.gateway.rig import QUICK, Rig, gateway


def second(behaviour: Behaviour = answers) -> FakeReplica:
    return FakeReplica(replica_id="tiny.1-b", behaviour=behaviour)


async def test_nobody_ready_is_503_with_a_wait(rig: Rig, replica: FakeReplica) -> None:
    for reports in ((), (replica.report(Phase.STARTING),), (replica.report(Phase.DRAINING),)):
        rig.publish(reports=[])
        rig.core._table.sets.clear()
        rig.core._table.by_id.clear()
        rig.publish(reports)
        reply = await rig.chat()
        assert (reply.status, reply.error["code"]) == (503, "model_unavailable")
        assert 1 <= int(reply.headers["retry-after"]) <= 60
    assert replica.calls == []


async def test_58_without_news_keys_are_taken_for_a_bounded_time(tmp_path: Path) -> None:
    short = replace(QUICK, keys_s=0.0)
    async with fake_replica(FakeReplica()) as one, gateway(tmp_path, one, deadlines=short) as rig:
        reply = await rig.chat()
        assert (reply.status, reply.error["code"]) == (503, "server_is_overloaded")
        assert not one.calls
        assert (await rig.ask("GET", "/readyz")).status == 503
        assert (await rig.ask("GET", "/healthz")).status == 200


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (400, "temperature is odd", (400, None)),
        (400, "This model's maximum context length is 9.", (400, "context_length_exceeded")),
        (422, "nope", (400, None)),
        (501, "nope", (400, None)),
        (404, "The model `x` does not exist; served: a, b", (503, "model_unavailable")),
        (429, "queue", (503, "server_is_overloaded")),
        (503, "queue", (503, "server_is_overloaded")),
        (500, "boom", (502, "upstream_error")),
    ],
)
async def test_what_vllm_refuses_is_told_in_our_words(
    rig: Rig, replica: FakeReplica, status: int, message: str, expected: tuple[int, str | None]
) -> None:
    replica.behaviour = refuses(status, message)
    for stream in (False, True):
        reply = await rig.chat(stream=stream)
        assert (reply.status, reply.error["code"]) == expected


@pytest.mark.parametrize(
    "message",
    [
        "File /usr/lib/python3/site.py broke",
        "Traceback (most recent call last):\n x",
        "object at 0x7f001122aabb",
        "vllm.engine.core.Thing failed",
        "x" * 400,
        "",
    ],
)
async def test_vllms_internals_stay_inside(rig: Rig, replica: FakeReplica, message: str) -> None:
    replica.behaviour = refuses(400, message)
    assert (await rig.chat()).error["message"] == "The engine refused the request."


@pytest.mark.parametrize(("status", "expected"), [(400, 400), (500, 502), (503, 503)])
async def test_an_error_as_the_first_event_is_a_status(
    rig: Rig, replica: FakeReplica, status: int, expected: int
) -> None:
    replica.behaviour = errs_after(status=status)
    reply = await rig.chat(stream=True)
    assert reply.status == expected
    assert reply.error


async def test_31_a_full_spool_refuses_rather_than_loses(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, record_property: Note
) -> None:
    with monkeypatch.context() as full:
        full.setattr("serving.spool.SPOOL_RECORDS", 0)
        reply = await rig.chat()
        assert (reply.status, reply.error["code"]) == (503, "server_is_overloaded")
    with recovering(record_property):
        assert (await rig.chat()).status == 200


async def test_busy_replicas_get_less(tmp_path: Path) -> None:
    async with fake_replica() as one, fake_replica(second()) as two:
        two.load = Load(running=3, waiting=1)
        async with gateway(tmp_path, one, two) as rig:
            for _ in range(10):
                await rig.chat()
        assert (len(one.calls), len(two.calls)) == (10, 0)


@pytest.mark.parametrize("broken", ["answers.add", "spool.append", "counters.add"])
async def test_a_fault_of_ours_at_the_end_of_one_request_stops_no_watch_over_others(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    broken: str,
) -> None:
    one = FakeReplica(behaviour=hangs)
    deadlines = replace(QUICK, request_s=0.1)
    async with fake_replica(one), gateway(tmp_path, one, deadlines=deadlines) as rig:
        one.script = [answers]
        await rig.chat()  # from now on there is a connection to the replica
        part, name = getattr(rig.core, broken.split(".")[0]), broken.split(".")[1]
        works, faults = getattr(part, name), [RuntimeError("planted")]

        def breaks(*given: object) -> None:
            if faults:
                raise faults.pop()
            works(*given)

        monkeypatch.setattr(part, name, breaks)
        rig.unrecorded = broken != "answers.add"
        for _ in range(3):
            assert (await rig.chat()).status == 504
        assert rig.core.budget.in_flight == 0
        assert rig.core.in_flight() == ((one.replica_id, 0),)
    assert [record.getMessage() for record in caplog.records if "RuntimeError" in record.message]
