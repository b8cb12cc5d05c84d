"""Replicas that fail: rows of faults.md by number, with real sockets and fake engines."""

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from serving import bounds
from serving.gateway.attempt import STALE_S
from serving.snapshot import Load, Phase
from tests.fakes import (
    Behaviour,
    Call,
    FakeReplica,
    answers,
    dies,
    dies_after,
    ends_after,
    errs_after,
    fake_replica,
    floods,
    hangs,
    hangs_after,
    pours,
    refuses,
    says,
)
from tests.serving.gateway.rig import CHAT, HELLO, QUICK, TEXT, Rig, gateway


def second(behaviour: Behaviour = answers) -> FakeReplica:
    return FakeReplica(replica_id="tiny.1-b", behaviour=behaviour)


async def test_02_a_replica_that_dies_with_a_request_costs_the_client_nothing(
    tmp_path: Path,
) -> None:
    one = FakeReplica(script=[dies])
    async with fake_replica(one), fake_replica(second()) as two:
        two.load = Load(running=5)
        async with gateway(tmp_path, one, two) as rig:
            assert (await rig.chat()).status == 200
            records = await rig.records()
    assert [(r["outcome"], r["attempts"], r["replica_id"]) for r in records] == [
        ("complete", 2, "tiny.1-b")
    ]


async def test_02_the_last_replica_that_dies_is_502(rig: Rig, replica: FakeReplica) -> None:
    replica.behaviour = dies
    reply = await rig.chat()
    assert (reply.status, reply.error["code"]) == (502, "upstream_error")
    assert len(replica.calls) == 1


async def test_03_a_stream_cut_after_the_first_byte_ends_with_an_error_event(
    rig: Rig, replica: FakeReplica
) -> None:
    for behaviour in (dies_after("a", "b"), ends_after("a", "b")):
        replica.behaviour = behaviour
        reply = await rig.chat(stream=True)
        assert reply.status == 200
        *_, last = reply.events
        assert json.loads(last)["error"]["code"] == "upstream_error"
        assert "[DONE]" not in reply.events
        assert reply.headers.get("connection") is None
    assert [(r["outcome"], r["completion_tokens"]) for r in await rig.records()] == [
        ("cut", 1),
        ("cut", 1),
    ]


async def test_04_a_hung_replica_is_left_for_another_before_the_first_byte(
    tmp_path: Path,
) -> None:
    short = replace(QUICK, first_token_s=0.1)
    one = FakeReplica(script=[hangs])
    async with fake_replica(one), fake_replica(second()) as two:
        two.load = Load(running=5)
        async with gateway(tmp_path, one, two, deadlines=short) as rig:
            reply = await rig.chat(stream=True)
            assert reply.events[-1] == "[DONE]"
            await one.until(lambda: one.aborted == 1)


async def test_04_a_stream_that_stops_is_cut_by_the_watchdog(
    tmp_path: Path, replica: FakeReplica
) -> None:
    replica.behaviour = hangs_after("a")
    async with gateway(tmp_path, replica, deadlines=replace(QUICK, between_tokens_s=0.1)) as rig:
        reply = await rig.chat(stream=True)
        assert json.loads(reply.events[-1])["error"]["code"] == "upstream_error"
        await replica.until(lambda: replica.aborted == 1)


async def test_16_a_request_that_killed_two_replicas_is_not_invited_back(
    tmp_path: Path,
) -> None:
    three = FakeReplica(replica_id="tiny.2-c", behaviour=dies)
    async with (
        fake_replica(FakeReplica(behaviour=dies)) as one,
        fake_replica(second(dies)) as two,
        fake_replica(three),
        gateway(tmp_path, one, two, three) as rig,
    ):
        reply = await rig.chat()
        assert reply.status == 500
        assert reply.headers["x-should-retry"] == "false"
        assert sum(len(r.calls) for r in (one, two, three)) == 2


@pytest.mark.parametrize("body", [b"{", b"[]", b"", b'{"id":1}', b"\xff", b'{"choices":NaN}'])
async def test_17_a_broken_whole_answer_is_502(rig: Rig, replica: FakeReplica, body: bytes) -> None:
    replica.behaviour = says(body)
    for path, given in ((CHAT, HELLO), (TEXT, {"model": "tiny", "prompt": "x"})):
        reply = await rig.ask("POST", path, given)
        assert (reply.status, reply.error["code"]) == (502, "upstream_error")


@pytest.mark.parametrize(
    "body",
    [b"garbage", b'data: {"choices":[],"usage":NaN}\n\n', b"", b"x" * (bounds.EVENT_BYTES + 1)],
    ids=["no event", "bad usage", "nothing", "endless"],
)
async def test_17_a_broken_stream_is_502_before_the_first_event(
    rig: Rig, replica: FakeReplica, body: bytes
) -> None:
    replica.behaviour = pours(body) if body else ends_after()
    reply = await rig.chat(stream=True)
    assert (reply.status, reply.error["code"]) == (502, "upstream_error")


async def test_18_an_engine_that_ignores_its_limit_is_cut(rig: Rig, replica: FakeReplica) -> None:
    replica.behaviour = floods
    reply = await rig.chat(stream=True, max_tokens=4)
    assert json.loads(reply.events[-1])["error"]["code"] == "upstream_error"
    await replica.until(lambda: replica.running == 0)


async def test_36_retries_stay_inside_their_budget(tmp_path: Path) -> None:
    refusal = refuses(503)
    async with (
        fake_replica(FakeReplica(behaviour=refusal)) as one,
        fake_replica(second(refusal)) as two,
        gateway(tmp_path, one, two) as rig,
    ):
        replies = await asyncio.gather(*(rig.chat() for _ in range(50)))
        calls = len(one.calls) + len(two.calls)
    assert {r.status for r in replies} == {503}
    assert {r.error["code"] for r in replies} == {"server_is_overloaded"}
    assert all(1 <= int(r.headers["retry-after"]) <= 60 for r in replies)
    assert calls <= 50 * 2
    assert rig.core.budget.retrying == 0
    assert rig.core.budget.in_flight == 0


async def test_37_nobody_ready_is_503_with_a_wait(rig: Rig, replica: FakeReplica) -> None:
    for reports in ((), (replica.report(Phase.STARTING),), (replica.report(Phase.DRAINING),)):
        rig.publish(reports=[])
        rig.core._table.sets.clear()
        rig.core._table.by_id.clear()
        rig.publish(reports)
        reply = await rig.chat()
        assert (reply.status, reply.error["code"]) == (503, "model_unavailable")
        assert 1 <= int(reply.headers["retry-after"]) <= 60
    assert replica.calls == []


async def test_a_refused_connection_goes_to_another_and_is_suspect_for_a_while(
    tmp_path: Path,
) -> None:
    async with fake_replica() as one, fake_replica(second()) as two:
        two.load = Load(running=5)
        async with gateway(tmp_path, one, two) as rig:
            await one.stop()
            for _ in range(3):
                assert (await rig.chat()).status == 200
            records = await rig.records()
    assert [r["attempts"] for r in records] == [2, 1, 1]


async def test_a_refused_connection_to_the_only_replica_is_503(
    rig: Rig, replica: FakeReplica
) -> None:
    await replica.stop()
    reply = await rig.chat()
    assert (reply.status, reply.error["code"]) == (503, "model_unavailable")


async def test_48_our_deadline_is_504_and_the_engine_aborts(
    tmp_path: Path, replica: FakeReplica
) -> None:
    replica.behaviour = hangs
    async with gateway(tmp_path, replica, deadlines=replace(QUICK, request_s=0.1)) as rig:
        for stream in (False, True):
            reply = await rig.chat(stream=stream)
            assert (reply.status, reply.error["code"]) == (504, "deadline_exceeded")
            assert reply.headers["x-should-retry"] == "false"
        await replica.until(lambda: replica.aborted == 2)


async def test_63_an_answer_from_another_replica_is_never_passed_on(
    tmp_path: Path, replica: FakeReplica
) -> None:
    replica.shown_id = "other.0-z"
    async with fake_replica(second()) as two, gateway(tmp_path, replica, two) as rig:
        for stream in (False, True):
            for _ in range(4):
                reply = await rig.chat(stream=stream)
                assert reply.status == 200
        records = await rig.records()
    assert {r["replica_id"] for r in records} == {"tiny.1-b"}


async def test_63_an_address_of_some_other_program_is_502(rig: Rig, replica: FakeReplica) -> None:
    replica.shown_id = None
    assert (await rig.chat()).status == 502


async def test_64_a_wrong_internal_token_is_not_the_clients_401(
    rig: Rig, replica: FakeReplica
) -> None:
    replica.token = "another"
    assert (await rig.chat()).status == 502


async def test_65_a_replica_missing_from_the_list_is_asked_when_nobody_else_is_there(
    rig: Rig,
) -> None:
    rig.publish(reports=[])
    assert (await rig.chat()).status == 200


async def test_69_an_idle_connection_closed_by_the_replica_is_not_a_failure(
    rig: Rig, replica: FakeReplica
) -> None:
    for _ in range(3):
        assert (await rig.chat()).status == 200
        replica.close_idle()
    assert [r["attempts"] for r in await rig.records()] == [1, 1, 1]


async def test_16_a_death_on_a_kept_connection_is_blamed_on_the_request(tmp_path: Path) -> None:
    replicas = [FakeReplica(replica_id=f"tiny.{n}-x") for n in range(4)]
    async with AsyncExitStack() as stack:
        for each in replicas:
            await stack.enter_async_context(fake_replica(each))
        rig = await stack.enter_async_context(gateway(tmp_path, *replicas))
        while not all(each.calls for each in replicas):
            assert (await rig.chat()).status == 200
        warm = sum(len(each.calls) for each in replicas)
        for each in replicas:
            each.behaviour = dies_late
        reply = await rig.chat()
        assert (reply.status, reply.headers["x-should-retry"]) == (500, "false")
        assert sum(len(each.calls) for each in replicas) == warm + 2


async def dies_late(call: Call) -> None:
    await asyncio.sleep(2 * STALE_S)
    await dies(call)


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


async def test_47_an_error_event_in_a_stream_becomes_ours_without_done(
    rig: Rig, replica: FakeReplica
) -> None:
    replica.behaviour = errs_after("a", "b")
    reply = await rig.chat(stream=True)
    error = json.loads(reply.events[-1])["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    assert error["code"] == "upstream_error"
    assert "[DONE]" not in reply.events


async def test_31_a_full_spool_refuses_rather_than_loses(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.spool.SPOOL_RECORDS", 0)
    reply = await rig.chat()
    assert (reply.status, reply.error["code"]) == (503, "server_is_overloaded")


async def test_66_requests_spread_over_equal_replicas(tmp_path: Path) -> None:
    async with fake_replica() as one, fake_replica(second()) as two:
        async with gateway(tmp_path, one, two) as rig:
            for _ in range(40):
                await rig.chat()
        assert min(len(one.calls), len(two.calls)) > 5


async def test_busy_replicas_get_less(tmp_path: Path) -> None:
    async with fake_replica() as one, fake_replica(second()) as two:
        two.load = Load(running=3, waiting=1)
        async with gateway(tmp_path, one, two) as rig:
            for _ in range(10):
                await rig.chat()
        assert (len(one.calls), len(two.calls)) == (10, 0)
