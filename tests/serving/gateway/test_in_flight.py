"""Whoever asks a gateway hears where each of its requests is, the oldest first and only so many;
nobody hears it without the token for it.
"""

import asyncio
from pathlib import Path

import aiohttp
import msgspec
import pytest

from serving.gateway import in_flight
from serving.gateway.in_flight import in_flight_json
from serving.in_flight import PATH, InFlight, RequestInFlight, RequestPhase
from serving.metrics.port import MetricsPort, Route
from serving.metrics.token import metrics_token, requests_token
from serving.snapshot import Outlook, Snapshot
from tests.fakes import TOKEN, FakeReplica, hangs, hangs_after
from tests.faults.site import until
from tests.serving.gateway.rig import CHAT, HELLO, KEY_RECORD, Client, Rig, gateway, model

LONG = {**HELLO, "messages": [{"role": "user", "content": "a" * 400}]}
STREAM = {**HELLO, "stream": True}


def told(rig: Rig) -> InFlight:
    """As it comes over the wire."""
    body = in_flight_json(rig.server.jobs(), rig.core.loop.time())
    return msgspec.json.decode(body, type=InFlight)


async def sent(rig: Rig, body: object = HELLO) -> Client:
    client = await rig.connect()
    await client.request("POST", CHAT, body)
    return client


async def a_later_moment(rig: Rig) -> None:
    """The loop's clock tells whole milliseconds: what comes within one is equally old."""
    began_s = rig.core.loop.time()
    await until(lambda: rig.core.loop.time() > began_s)


async def only(rig: Rig, phase: RequestPhase) -> RequestInFlight:
    """The one request in flight, as soon as it is in this phase."""
    await until(lambda: [each.phase for each in told(rig).requests] == [phase])
    return told(rig).requests[0]


async def test_a_stream_is_told_with_its_replica_and_its_tokens(
    rig: Rig, replica: FakeReplica
) -> None:
    # The first event opens the answer, as an engine's does, and is no token.
    replica.script = [hangs_after("", "Hello", " there")]
    client = await sent(rig, STREAM)
    await until(lambda: [each.tokens for each in told(rig).requests] == [2])
    found = await only(rig, RequestPhase.STREAM)
    assert (found.model_asked, found.model_answers) == ("tiny", "tiny")
    assert (found.replica_id, found.attempts) == (replica.replica_id, 1)
    assert (found.key_id, found.tenant) == (KEY_RECORD.id, KEY_RECORD.tenant)
    assert found.age_s > 0
    assert found.id == replica.calls[0].id
    client.reset()
    await until(lambda: told(rig) == InFlight())


async def test_before_its_first_token_a_stream_is_in_prefill_and_a_whole_answer_is_computed(
    rig: Rig, replica: FakeReplica
) -> None:
    replica.behaviour = hangs
    client = await sent(rig, STREAM)
    assert (await only(rig, RequestPhase.PREFILL)).tokens == 0
    client.reset()
    await until(lambda: not told(rig).total)
    await sent(rig)
    assert (await only(rig, RequestPhase.COMPUTE)).tokens is None


async def test_who_waits_for_its_turn_is_queued(rig: Rig, replica: FakeReplica) -> None:
    replica.most_running, replica.behaviour = 1, hangs
    rig.publish()
    await sent(rig)
    await only(rig, RequestPhase.COMPUTE)
    await sent(rig)
    phases = [RequestPhase.COMPUTE, RequestPhase.QUEUE]
    await until(lambda: [each.phase for each in told(rig).requests] == phases)
    assert (told(rig).requests[1].replica_id, told(rig).requests[1].attempts) == ("", 0)


async def test_who_waits_for_a_first_replica_is_told_as_such(
    rig: Rig, replica: FakeReplica
) -> None:
    rig.core.apply_snapshot(Snapshot(9, rig.keys, (), TOKEN, (Outlook("tiny", 5.0),)))
    await sent(rig)
    assert (await only(rig, RequestPhase.WAIT)).replica_id == ""


async def test_who_is_counted_and_who_fell_back_are_told(
    tmp_path: Path, replica: FakeReplica
) -> None:
    models = [model(window_tokens=64, fallback="big"), model("big", replica_set="tiny")]
    async with gateway(tmp_path, replica, models=models) as rig:
        replica.count, replica.behaviour = None, hangs
        client = await sent(rig, LONG)
        assert (await only(rig, RequestPhase.FIT)).model_answers == "tiny"
        client.reset()
        await until(lambda: not told(rig).total)
        replica.count = lambda body: 95
        await sent(rig, LONG)
        found = await only(rig, RequestPhase.COMPUTE)
        assert (found.model_asked, found.model_answers) == ("tiny", "big")


async def test_only_the_oldest_are_told_and_all_are_counted(
    rig: Rig, replica: FakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_flight, "MOST_TOLD", 3)
    replica.behaviour = hangs
    for number in range(1, 6):
        await sent(rig)
        await replica.until(lambda number=number: replica.running == number)  # type: ignore[misc]
        await a_later_moment(rig)
    now = told(rig)
    assert (now.total, now.untold) == (5, 2)
    assert [each.id for each in now.requests] == [call.id for call in replica.calls[:3]]


async def test_its_token_opens_it_and_that_of_prometheus_does_not(
    rig: Rig, replica: FakeReplica
) -> None:
    replica.behaviour = hangs
    await sent(rig)
    await only(rig, RequestPhase.COMPUTE)
    jobs, now_s = rig.server.jobs, rig.core.loop.time
    port = MetricsPort(
        lambda: (),
        lambda: rig.core.metrics_token,
        [Route(PATH, lambda: in_flight_json(jobs(), now_s()), lambda: rig.core.requests_token)],
    )
    await port.open("127.0.0.1")
    async with aiohttp.ClientSession() as session:
        for token, path, status in (
            (requests_token(TOKEN), PATH, 200),
            (metrics_token(TOKEN), PATH, 401),
            (TOKEN, PATH, 401),
            (requests_token(TOKEN), "/metrics", 401),
        ):
            headers = {"authorization": f"Bearer {token}"}
            async with session.get(f"http://{port.address}{path}", headers=headers) as reply:
                assert reply.status == status
                body = await reply.read()
                assert body == b"" or msgspec.json.decode(body, type=InFlight).total == 1
    await port.close()


async def test_a_client_that_only_connected_or_asks_for_something_else_is_no_request(
    rig: Rig,
) -> None:
    await rig.connect()
    assert (await rig.ask("GET", "/v1/models")).status == 200
    await asyncio.sleep(0)
    assert told(rig) == InFlight()
