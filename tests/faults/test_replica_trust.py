"""Replicas that lie, stumble, lag or are somebody else: rows 11 to 13, 17, 18 and 63 to 69."""

import asyncio
import json
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from serving import bounds
from serving.snapshot import Snapshot
from tests.fakes import (
    Behaviour,
    Call,
    answers,
    ends_after,
    errs_after,
    floods,
    pours,
    refuses,
    says,
)
from tests.faults.control import Control
from tests.faults.site import Faulty, replicas, until
from tests.serving.gateway.rig import TEXT

#: What the kernel gives out at once, at the most; an event of a flood has over a hundred bytes.
READ_BYTES = 256 * 1024


def now_and_then(ill: Behaviour, of_ten: int) -> Behaviour:
    """Answers, but so many of ten calls go wrong."""
    calls = 0

    async def behave(call: Call) -> None:
        nonlocal calls
        calls += 1
        await (ill if calls % 10 < of_ten else answers)(call)

    return behave


async def test_11_who_answers_5xx_now_and_then_is_left_out_and_no_client_sees_it(
    faulty: Faulty,
) -> None:
    four = replicas(4)
    four[0].behaviour = now_and_then(refuses(500), 3)
    async with faulty(*four) as site:
        while not site.core.left_out():
            assert (await site.chat()).status == 200
        assert site.core.left_out() == (four[0].replica_id,)
        site.measured("left out after", len(four[0].calls), "of its answers")
        before = len(four[0].calls)
        for _ in range(40):
            assert (await site.chat()).status == 200
        assert len(four[0].calls) - before <= 1  # its probe, if the hold is over


async def test_11_when_all_fail_alike_never_more_than_half_are_left_out(faulty: Faulty) -> None:
    four = replicas(4)
    for each in four:
        each.behaviour = refuses(500)
    async with faulty(*four) as site:
        for _ in range(40):
            assert (await site.chat()).status in (500, 502)
            assert len(site.core.left_out()) <= 2
        site.heals()


async def test_12_a_slow_replica_gets_what_it_can_do(faulty: Faulty) -> None:
    """Ten times slower, it has a tenth of the places that a moment frees."""
    slow, quick = replicas(2)
    turns = {slow.replica_id: 10, quick.replica_id: 1}
    moment = asyncio.Event()

    async def behave(call: Call) -> None:
        for _ in range(turns[call.replica.replica_id]):
            await moment.wait()
        await answers(call)

    async def moments() -> None:
        nonlocal moment
        while True:
            await asyncio.sleep(0.002)
            passed, moment = moment, asyncio.Event()
            passed.set()

    async def client() -> None:
        for _ in range(30):
            assert (await site.chat()).status == 200

    slow.behaviour = quick.behaviour = behave
    clock = asyncio.create_task(moments())
    try:
        async with faulty(slow, quick) as site:
            await asyncio.gather(*(client() for _ in range(8)))
            share = len(slow.calls) / 240
            assert share < 0.25
            site.measured("its share of requests", 100 * share, "%")
            site.heals()
    finally:
        clock.cancel()


async def test_13_with_all_left_out_all_are_asked_and_the_first_answer_ends_it(
    faulty: Faulty,
) -> None:
    three = replicas(3)
    async with faulty(*three) as site:
        for each in three:
            await each.stop()
        reply = await site.chat()
        assert (reply.status, reply.error["code"]) == (503, "model_unavailable")
        assert len(site.core.left_out()) == 3
        await three[1].start()
        site.strikes()
        assert (await site.chat()).status == 200
        assert three[1].replica_id not in site.core.left_out()


@pytest.mark.parametrize("body", [b"{", b"[]", b"", b'{"id":1}', b"\xff", b'{"choices":NaN}'])
async def test_17_a_broken_whole_answer_is_502(faulty: Faulty, body: bytes) -> None:
    [one] = replicas(1)
    one.behaviour = says(body)
    async with faulty(one) as site:
        chat, text = (
            await site.chat(),
            await site.ask("POST", TEXT, {"model": "tiny", "prompt": "x"}),
        )
        assert (chat.status, text.status) == (502, 502)
        site.heals()


@pytest.mark.parametrize(
    "body",
    [b"garbage", b'data: {"choices":[],"usage":NaN}\n\n', b"", b"x" * (bounds.EVENT_BYTES + 1)],
    ids=["no event", "bad usage", "nothing", "endless"],
)
async def test_17_a_broken_stream_is_502_before_the_first_event(
    faulty: Faulty, body: bytes
) -> None:
    [one] = replicas(1)
    one.script = [pours(body) if body else ends_after()]
    async with faulty(one) as site:
        assert (await site.chat(stream=True)).status == 502


@pytest.mark.parametrize(
    "garbage",
    [
        b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"b"}\n\n',
        b'data: {"id":"x","choices":[{"index":0,"logprobs":NaN}]}\n\n',
        b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"\xe2\x82"}}]}\n\n',
        b"garbage\n\n",
        b'event: {"id":"x"}\n\n',
        b"data: []\n\n",
        b"data: \n\n",
        b"\n\n",
        b'data: {"id":"x","choices":[',
    ],
    ids=[
        *("cut off", "NaN", "half a character", "no event", "no data", "a list", "empty", "blank"),
        "without an end",
    ],
)
async def test_17_garbage_in_a_stream_is_never_passed_on(faulty: Faulty, garbage: bytes) -> None:
    async def slips(call: Call) -> None:
        await call.start_stream()
        for token in ("", "a"):
            await call.event(call.chunk(token))
        await until(lambda: any(job.seen(0.0).tokens for job in site.rig.server.jobs()))
        await call.send(garbage)
        await call.send(b"data: [DONE]\n\n")
        await call.end_stream()

    [one] = replicas(1)
    one.script = [slips]
    async with faulty(one) as site:
        first, second, last = (await site.chat(stream=True)).events
        assert [json.loads(token)["id"][:5] for token in (first, second)] == ["chat-"] * 2
        assert json.loads(last)["error"]["code"] == "upstream_error"
        [record] = await site.invariants_hold()
    assert record["outcome"] == "cut"


async def test_17_a_character_cut_in_two_comes_out_whole(faulty: Faulty) -> None:
    async def cuts(call: Call) -> None:
        await call.start_stream()
        event = b"data: " + json.dumps(call.chunk("\u20ac", "stop"), ensure_ascii=False).encode()
        at = event.index("\u20ac".encode()) + 1
        await call.send(event[:at])
        await call.send(event[at:] + b"\n\n")
        await call.send(b"data: [DONE]\n\n")
        await call.end_stream()

    [one] = replicas(1)
    one.script = [cuts]
    async with faulty(one) as site:
        reply = await site.chat(stream=True)
        assert json.loads(reply.events[0])["choices"][0]["delta"]["content"] == "\u20ac"


async def test_17_an_error_event_in_a_stream_becomes_ours_without_done(faulty: Faulty) -> None:
    [one] = replicas(1)
    one.script = [errs_after("a", "b")]
    async with faulty(one) as site:
        reply = await site.chat(stream=True)
        assert json.loads(reply.events[-1])["error"]["code"] == "upstream_error"


async def test_18_an_engine_that_ignores_its_limit_is_cut(faulty: Faulty) -> None:
    [one] = replicas(1)
    one.script = [floods]
    async with faulty(one) as site:
        reply = await site.chat(stream=True, max_tokens=4)
        assert json.loads(reply.events[-1])["error"]["code"] == "upstream_error"
        [record] = await site.invariants_hold()
    # What came in one read with the first event too many is passed on.
    assert record["completion_tokens"] < 4 + bounds.EVENT_MARGIN + READ_BYTES // 100


async def test_63_an_answer_from_another_replica_is_never_passed_on(faulty: Faulty) -> None:
    """Two replicas have changed ports; the list is older than that."""
    one, two, three = replicas(3)
    one.shown_id, two.shown_id = two.replica_id, one.replica_id
    async with faulty(one, two, three) as site:
        for stream in (False, True, False, True):
            assert (await site.chat(stream=stream)).status == 200
        records = await site.invariants_hold()
    assert {record["replica_id"] for record in records} == {three.replica_id}


async def test_63_an_address_of_some_other_program_is_502(faulty: Faulty) -> None:
    [one] = replicas(1)
    one.shown_id = None
    async with faulty(one) as site:
        assert (await site.chat()).status == 502
        one.shown_id = one.replica_id
        site.heals()


async def test_64_a_wrong_internal_token_is_not_the_clients_401(faulty: Faulty) -> None:
    one, two = replicas(2)
    one.token = "another"
    async with faulty(one, two) as site:
        while not site.core.left_out():
            assert (await site.chat()).status == 200
        assert site.core.left_out() == (one.replica_id,)
        two.token = "another"
        assert (await site.chat()).status == 502
        site.core.apply_snapshot(
            Snapshot(9, site.rig.keys, (one.report(), two.report()), "another")
        )
        site.strikes()


async def test_64_a_token_that_is_rotated_under_load_costs_nobody_anything(faulty: Faulty) -> None:
    one, two = replicas(2)
    async with faulty(one, two) as site:
        rotated = asyncio.Event()

        async def client() -> None:
            for number in range(40):
                assert (await site.chat(stream=number % 2 == 0)).status == 200
                if number == 20:
                    rotated.set()

        clients = [asyncio.create_task(client()) for _ in range(4)]
        await rotated.wait()
        for each in (one, two):
            each.old_token, each.token = each.token, "new"
        site.core.apply_snapshot(Snapshot(9, site.rig.keys, (one.report(), two.report()), "new"))
        await asyncio.gather(*clients)
        records = await site.invariants_hold()
    assert {record["attempts"] for record in records} == {1}


async def test_65_a_replica_missing_from_the_list_is_asked_when_nobody_else_is_there(
    faulty: Faulty,
) -> None:
    [one] = replicas(1)
    async with faulty(one) as site:
        site.rig.publish(reports=[])
        assert (await site.chat()).status == 200


async def test_65_without_the_controller_traffic_goes_on_and_the_dead_are_left_out(
    faulty: Faulty,
) -> None:
    """The Controller told of three replicas and is away; one of them dies after that."""
    three = replicas(3)
    async with faulty(*three) as site:
        async with Control(three).leads(site):
            assert (await site.chat()).status == 200
        await three[0].stop()
        for _ in range(20):
            assert (await site.chat()).status == 200
        assert site.core.left_out() in ((three[0].replica_id,), ())


async def test_66_gateways_on_the_same_old_figures_do_not_all_take_the_same_replica(
    faulty: Faulty,
) -> None:
    four = replicas(4)
    async with AsyncExitStack() as stack:
        sites = [await stack.enter_async_context(faulty(*four)) for _ in range(4)]
        await asyncio.gather(*(site.chat() for site in sites for _ in range(40)))
        share = Counter({each.replica_id: len(each.calls) for each in four})
        assert max(share.values()) < 2 * 160 / 4
        sites[0].measured("busiest of four got", 100 * max(share.values()) / 160, "% of requests")


async def test_69_an_idle_connection_closed_by_the_replica_is_not_a_failure(
    faulty: Faulty,
) -> None:
    [one] = replicas(1)
    async with faulty(one) as site:
        for _ in range(3):
            assert (await site.chat()).status == 200
            one.close_idle()
        records = await site.invariants_hold()
    assert [record["attempts"] for record in records] == [1, 1, 1]
