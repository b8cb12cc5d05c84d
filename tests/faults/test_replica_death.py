"""Replicas that die or hang with requests: rows 2, 3, 4 and 16."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from serving.gateway.attempt import STALE_S
from serving.routing import breaker
from serving.routing.retry import BUDGET_FLOOR
from serving.snapshot import Load
from tests.fakes import (
    Behaviour,
    Call,
    FakeReplica,
    answers,
    dies,
    dies_after,
    ends_after,
    errs_after,
    hangs,
    hangs_after,
    refuses,
    streams,
)
from tests.faults.control import Control
from tests.faults.site import Faulty, Site, kind_of, replicas, until
from tests.serving.gateway.rig import CHAT, HELLO, QUICK, Reply, handed

DEAD_ENGINE = "EngineCore encountered an issue. See stack trace (above) for the root cause."


def preferred(count: int = 2) -> list[FakeReplica]:
    """The first of them is asked first: the others look busy."""
    first, *others = replicas(count)
    for number, each in enumerate(others, 5):
        each.load = Load(running=number)
    return [first, *others]


@pytest.mark.parametrize(
    "death", [dies, refuses(500, DEAD_ENGINE), errs_after(message=DEAD_ENGINE), ends_after()]
)
@pytest.mark.parametrize("stream", [False, True])
async def test_02_killed_with_a_request_in_prefill_costs_the_client_nothing(
    faulty: Faulty, death: Behaviour, stream: bool
) -> None:
    one, two = preferred()
    one.script = [death]
    async with faulty(one, two) as site:
        reply = await site.chat(stream=stream)
        assert reply.status == 200
        [record] = await site.invariants_hold()
    assert (record["outcome"], record["attempts"]) == ("complete", 2)
    assert record["replica_id"] == two.replica_id


async def test_02_a_replica_that_goes_before_it_had_the_request_did_not_die_of_it(
    faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one] = replicas(1)
    async with faulty(one) as site:
        await site.chat()  # from now on there is a connection
        [slot] = site.core.slots()
        pool = site.core.upstream(slot).pool
        [connection] = pool._all
        with monkeypatch.context() as gone:
            gone.setattr(pool, "_port", 1)
            handed(site.core, HELLO)
            connection._transport.abort()  # in the turn in which it would have been written to
            await until(lambda: not site.core.budget.in_flight)
        assert site.core.inquest.deaths() == ()
        _, record = await site.invariants_hold()
    assert (record["outcome"], record["attempts"]) == ("refused", 1)
    assert len(one.calls) == 1 + 1  # the plain request afterwards


async def test_02_the_last_replica_that_dies_is_502(faulty: Faulty) -> None:
    [one] = replicas(1)
    one.script = [dies]
    async with faulty(one) as site:
        reply = await site.chat()
        assert (reply.status, reply.error["code"]) == (502, "upstream_error")
        [record] = await site.invariants_hold()
    assert (record["outcome"], record["attempts"]) == ("refused", 1)


async def test_02_a_replica_that_is_gone_costs_one_refused_connect(faulty: Faulty) -> None:
    one, two = preferred()
    async with faulty(one, two) as site:
        await one.stop()
        for _ in range(3):
            assert (await site.chat()).status == 200
        assert site.core.left_out() == (one.replica_id,)
        records = await site.invariants_hold()
    assert [record["attempts"] for record in records] == [2, 1, 1]


async def test_02_who_finds_a_dead_replica_goes_on_whatever_is_retried_already(
    faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request is its probe, and goes to the other one, where all stay for long."""
    monkeypatch.setattr(breaker, "HOLD_S", 0.0)
    one, two = preferred()
    goes_on = asyncio.Event()
    two.behaviour = streams("a", "b", pause=goes_on)
    calls: list[asyncio.Task[Reply]] = []
    async with faulty(one, two) as site:
        await one.stop()
        while len(calls) < BUDGET_FLOOR + 2:
            calls.append(asyncio.create_task(site.chat(stream=True)))
            await two.until(lambda: two.running == len(calls))
        goes_on.set()
        assert {(await call).events[-1] for call in calls} == {"[DONE]"}
        site.heals()
        records = await site.invariants_hold()
    assert [record["attempts"] for record in records] == [2] * len(calls)


async def test_02_the_only_replica_gone_is_503_and_asked_again_when_it_is_back(
    faulty: Faulty,
) -> None:
    [one] = replicas(1)
    async with faulty(one) as site:
        await one.stop()
        reply = await site.chat()
        assert (reply.status, reply.error["code"]) == (503, "model_unavailable")
        await one.start()
        site.heals()


@pytest.mark.parametrize("death", [dies_after("a", "b"), ends_after("a", "b")])
async def test_03_killed_mid_stream_ends_with_an_error_event(
    faulty: Faulty, death: Behaviour
) -> None:
    one, two = preferred()
    one.script = [death]
    async with faulty(one, two) as site:
        reply = await site.chat(stream=True)
        assert json.loads(reply.events[-1])["error"]["code"] == "upstream_error"
        assert two.calls == []
        [record] = await site.invariants_hold()
    assert (record["outcome"], record["completion_tokens"]) == ("cut", 1)
    assert record["attempts"] == 1


async def test_03_the_connection_of_a_stream_that_was_cut_serves_the_next_request(
    faulty: Faulty,
) -> None:
    """Whoever has read the end of an answer that announced no close may ask again at once."""
    one, two = preferred()
    one.script = [dies_after("a", "b")]
    async with faulty(one, two) as site:
        client = await site.connect()
        for kind in ("200 cut, upstream_error", "200 complete"):
            await client.request("POST", CHAT, {**HELLO, "stream": True})
            reply = await client.reply()
            assert (kind_of(reply), reply.headers.get("connection")) == (kind, None)
            site.saw(kind)
        await client.close()


async def test_the_kernel_looks_for_a_replica_whose_node_may_be_cut_off(faulty: Faulty) -> None:
    """No network can be cut here; what the kernel was asked to do can be seen."""
    [one] = replicas(1)
    async with faulty(one) as site:
        assert (await site.chat()).status == 200
        [upstream] = site.core._upstreams.values()
        [connection] = upstream.pool._all
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert 0 < sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 20_000


async def test_no_request_is_blamed_for_a_node_that_is_cut_off(faulty: Faulty) -> None:
    one, two = preferred()
    one.behaviour = hangs
    async with faulty(one, two) as site:
        asking = asyncio.create_task(site.chat())
        await one.until(lambda: one.running == 1)
        [connection] = site.core._upstreams[one.replica_id].pool._all
        connection.connection_lost(TimeoutError())  # as the kernel tells it
        connection._transport.abort()
        assert (await asking).status == 200
        assert site.core.inquest.deaths() == ()
        site.heals()


async def test_04_hung_before_the_first_token_it_is_left_for_another_and_comes_back(
    faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "HOLD_S", 0.5)
    one, two = preferred()
    one.behaviour = hangs
    async with faulty(one, two, deadlines=replace(QUICK, first_token_s=0.1)) as site:
        assert (await site.chat(stream=True)).events[-1] == "[DONE]"
        await one.until(lambda: one.aborted == 1)
        assert site.core.left_out() == (one.replica_id,)
        assert (await site.chat(stream=True)).events[-1] == "[DONE]"
        assert len(one.calls) == 1
        site.heals()
        while site.core.left_out():
            assert (await site.rig.chat()).status == 200
        site.measured("left out for", site.core.loop.time() - (site.struck_s or 0.0), "s")


async def test_04_a_probe_costs_its_client_little(
    faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "HOLD_S", 0.0)
    one, two = preferred()
    short = replace(QUICK, first_token_s=60.0, probe_token_s=0.1)
    async with faulty(one, two, deadlines=short) as site:
        await one.stop()
        assert (await site.chat()).status == 200
        one.behaviour = hangs
        await one.start()
        assert (await site.chat(stream=True)).events[-1] == "[DONE]"
        assert len(one.calls) == 1


async def test_04_the_only_replica_is_given_its_time_though_it_is_a_probe(
    faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slowly(call: Call) -> None:
        await asyncio.sleep(5 * QUICK.tick_s)
        await answers(call)

    monkeypatch.setattr(breaker, "HOLD_S", 0.0)
    [one] = replicas(1)
    async with faulty(one, deadlines=replace(QUICK, probe_token_s=0.0)) as site:
        await one.stop()
        assert (await site.chat()).status == 503
        assert site.core.left_out() == (one.replica_id,)
        one.script = [slowly]
        await one.start()
        site.strikes()
        assert (await site.chat(stream=True)).events[-1] == "[DONE]"


async def test_04_a_stream_that_stops_is_cut_by_the_watchdog(faulty: Faulty) -> None:
    [one] = replicas(1)
    one.script = [hangs_after("a")]
    async with faulty(one, deadlines=replace(QUICK, between_tokens_s=0.1)) as site:
        reply = await site.chat(stream=True)
        assert json.loads(reply.events[-1])["error"]["code"] == "upstream_error"
        [record] = await site.invariants_hold()
    assert record["outcome"] == "cut"


async def test_04_bytes_that_are_no_tokens_keep_no_stream_alive(faulty: Faulty) -> None:
    async def mumbles(call: Call) -> None:
        await call.start_stream()
        await call.event(call.chunk("a"))
        while True:
            await call.send(b": still here\n\n")
            await asyncio.sleep(0.01)

    [one] = replicas(1)
    one.script = [mumbles]
    async with faulty(one, deadlines=replace(QUICK, between_tokens_s=0.1)) as site:
        reply = await site.chat(stream=True)
        assert json.loads(reply.events[-1])["error"]["code"] == "upstream_error"


async def test_04_a_whole_answer_does_not_hang_longer_than_the_streams_beside_it(
    faulty: Faulty,
) -> None:
    one, two = preferred()
    one.script = [hangs, hangs]
    async with faulty(one, two, deadlines=replace(QUICK, first_token_s=0.1)) as site:
        whole = asyncio.create_task(site.chat())
        await one.until(lambda: one.running == 1)
        assert (await site.chat(stream=True)).events[-1] == "[DONE]"
        assert (await whole).status == 200
        records = await site.invariants_hold()
    assert {record["replica_id"] for record in records} == {two.replica_id}


async def test_04_where_nobody_streams_answers_that_never_come_put_their_replica_out(
    faulty: Faulty,
) -> None:
    one, two = preferred()
    one.behaviour = hangs
    async with faulty(one, two, deadlines=replace(QUICK, request_s=0.4)) as site:
        for _ in range(breaker.FAILURES_IN_A_ROW):
            assert (await site.chat()).status == 504
        assert site.core.left_out() == (one.replica_id,)
        assert (await site.chat()).status == 200


async def test_04_a_stream_that_starves_beside_others_is_no_hang(faulty: Faulty) -> None:
    """Its replica makes tokens for others: it failed once and is not left out."""

    async def drips(call: Call) -> None:
        await call.start_stream()
        while True:
            await call.event(call.chunk("x"))
            await asyncio.sleep(0.01)

    one, two = preferred()
    one.script = [drips, hangs]
    async with faulty(one, two, deadlines=replace(QUICK, first_token_s=0.2)) as site:
        client = await site.connect()
        await client.request("POST", "/v1/chat/completions", {**STREAM, "max_tokens": 4_000})
        await client.reader.readuntil(b'"content":"x"')
        assert (await site.chat(stream=True)).events[-1] == "[DONE]"
        assert site.core.left_out() == ()
        client.reset()
        await one.until(lambda: one.aborted == 2)


async def test_04_whole_answers_show_too_that_a_replica_does_not_hang(faulty: Faulty) -> None:
    one, two = preferred()
    one.script = [hangs]
    async with faulty(one, two, deadlines=replace(QUICK, first_token_s=1.0)) as site:
        stream = asyncio.create_task(site.chat(stream=True))
        await one.until(lambda: one.running == 1)
        while not stream.done():
            assert (await site.chat()).status == 200
        assert (await stream).events[-1] == "[DONE]"
        assert len(one.calls) > 1
        assert site.core.left_out() == ()


STREAM = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "stream": True}
POISON = [{"role": "user", "content": "POISON"}]


class Morgue:
    """Replicas that stop for good with the request that says POISON."""

    def __init__(self, token: str = "") -> None:
        self.dead: list[FakeReplica] = []
        self._token = token
        self._stopping: list[asyncio.Task[None]] = []

    async def behave(self, call: Call) -> None:
        if call.body["messages"] != POISON:
            return await answers(call)
        if self._token:
            await call.start_stream()
            await call.event(call.chunk(self._token))
        self.dead.append(call.replica)
        self._stopping.append(asyncio.create_task(call.replica.stop()))
        await hangs(call)


@asynccontextmanager
async def both(faulty: Faulty, engines: list[FakeReplica]) -> AsyncIterator[tuple[Site, Site]]:
    """Two gateways that hear of each other through the Controller."""
    patient = replace(QUICK, blame_s=5.0)
    async with (
        faulty(*engines, deadlines=patient) as one,
        faulty(*engines, deadlines=patient) as two,
        Control(engines).leads(one, two),
    ):
        yield one, two


async def test_16_a_request_that_kills_replicas_costs_two_whichever_gateway_it_comes_through(
    faulty: Faulty,
) -> None:
    morgue, four = Morgue(), replicas(4)
    for each in four:
        each.behaviour = morgue.behave
    async with both(faulty, four) as (site, other):
        first = await site.chat(messages=POISON)
        assert (first.status, first.headers["x-should-retry"]) == (500, "false")
        assert len(morgue.dead) == 2
        await until(lambda: bool(other.core.inquest.quarantined))
        for gateway in (site, other):
            again = await gateway.chat(messages=POISON, stream=True, user="somebody else")
            assert (again.status, again.headers["x-should-retry"]) == (500, "false")
            assert (await gateway.chat()).status == 200
        assert len(morgue.dead) == 2


async def test_16_a_death_at_one_gateway_counts_at_the_other(faulty: Faulty) -> None:
    """The first died mid-stream, where nothing is retried; the second is the last."""
    morgue, four = Morgue(token="a"), replicas(4)
    for each in four:
        each.behaviour = morgue.behave
    async with both(faulty, four) as (site, other):
        assert (await site.chat(messages=POISON, stream=True)).status == 200
        assert len(morgue.dead) == 1
        reply = await other.chat(messages=POISON)
        assert (reply.status, reply.headers["x-should-retry"]) == (500, "false")
        assert len(morgue.dead) == 2


async def test_16_without_the_controller_each_gateway_goes_by_what_it_saw(faulty: Faulty) -> None:
    morgue, three = Morgue(), replicas(3)
    for each in three:
        each.behaviour = morgue.behave
    async with faulty(*three, deadlines=replace(QUICK, blame_s=0.05)) as site:
        for _ in range(2):
            reply = await site.chat(messages=POISON)
            assert (reply.status, reply.headers["x-should-retry"]) == (500, "false")
        assert len(morgue.dead) == 2


async def test_16_a_quick_death_on_a_kept_connection_is_blamed_too(faulty: Faulty) -> None:
    """It looks like a connection that was closed while idle, but nobody is there any more."""
    morgue, four = Morgue(), replicas(4)
    async with faulty(*four) as site:
        while not all(each.calls for each in four):
            assert (await site.chat()).status == 200
        for each in four:
            each.behaviour = morgue.behave
        for _ in range(2):
            reply = await site.chat(messages=POISON)
            assert (reply.status, reply.headers["x-should-retry"]) == (500, "false")
        assert len(morgue.dead) == 2


async def test_16_a_death_on_a_kept_connection_is_blamed_on_the_request(faulty: Faulty) -> None:
    async def dies_late(call: Call) -> None:
        await asyncio.sleep(2 * STALE_S)  # a replica that closed an idle connection is quicker
        await dies(call)

    four = replicas(4)
    async with faulty(*four) as site:
        while not all(each.calls for each in four):
            assert (await site.chat()).status == 200
        warm = sum(len(each.calls) for each in four)
        for each in four:
            each.behaviour = dies_late
        reply = await site.chat(messages=POISON)
        assert (reply.status, reply.headers["x-should-retry"]) == (500, "false")
        assert sum(len(each.calls) for each in four) == warm + 2
        site.heals()
