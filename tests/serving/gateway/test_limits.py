"""A limited key over real sockets: refused in OpenAI's words, told how it stands, charged for what
it used.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from math import ceil
from pathlib import Path

import openai
import pytest

from serving.limits.account import Account
from serving.limits.lease import WHOLE, Lease
from serving.limits.terms import NO_LIMITS, Limits
from serving.snapshot import MonthUse, Phase, Snapshot
from tests.fakes import TOKEN, FakeReplica, hangs, hangs_after, streams
from tests.serving.gateway.rig import (
    CHAT,
    HELLO,
    KEY,
    KEY_RECORD,
    OTHER_KEY,
    OTHER_RECORD,
    TEXT,
    Reply,
    Rig,
    gateway,
    model,
)

#: What the scripted engine says each whole answer cost.
COST = 7


@pytest.fixture
async def rig(replica: FakeReplica, tmp_path: Path) -> AsyncIterator[Rig]:
    """With all of every limit, and a second key without any."""
    async with gateway(tmp_path, replica) as running:
        running.core.gate.take(WHOLE)
        yield running


def limit(rig: Rig, **limits: int) -> None:
    limited = replace(KEY_RECORD, limits=Limits(**limits))
    rig.keys = (limited, OTHER_RECORD)
    rig.publish()


def account(rig: Rig) -> Account:
    return rig.core.gate.account(KEY_RECORD.id)


async def ended(rig: Rig) -> None:
    """Returns when nothing of the limited key runs."""
    while account(rig).in_flight:  # noqa: ASYNC110 - a plain count
        await asyncio.sleep(0)


async def by_other(rig: Rig) -> Reply:
    return await rig.ask("POST", CHAT, HELLO, authorization=f"Bearer {OTHER_KEY}")


def seconds(reset: str) -> float:
    """Of `1m1s`, `59s` or `120ms`."""
    if reset.endswith("ms"):
        return float(reset[:-2]) / 1000
    minutes, _, rest = reset.removesuffix("s").rpartition("m")
    return float(minutes or 0) * 60 + float(rest)


async def test_35_a_key_over_its_limit_is_refused_and_no_other(rig: Rig) -> None:
    limit(rig, requests_per_minute=2)
    replies = [await rig.chat() for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    left = [int(reply.headers["x-ratelimit-remaining-requests"]) for reply in replies]
    assert left == [1, 0, 0]
    refused = replies[2]
    assert (refused.error["type"], refused.error["code"]) == (
        "rate_limit_error",
        "rate_limit_exceeded",
    )
    assert refused.error["message"] == "The limit of 2 requests per minute is reached."
    reset_s = seconds(refused.headers["x-ratelimit-reset-requests"])
    assert int(refused.headers["retry-after"]) == min(ceil(reset_s), 60)
    assert "x-should-retry" not in refused.headers
    other = await by_other(rig)
    assert other.status == 200
    assert not [name for name in other.headers if name.startswith("x-ratelimit")]


async def test_every_answer_to_a_limited_key_says_how_it_stands(rig: Rig) -> None:
    limit(rig, requests_per_minute=20, tokens_per_minute=5_000)
    replies = [
        await rig.chat(),
        await rig.chat(stream=True),
        await rig.chat(model="none"),
        await rig.chat(temperature=9),
        await rig.ask("GET", "/v1/models"),
        await rig.ask("GET", "/v1/nothing"),
        await rig.ask("PUT", CHAT),
    ]
    assert [reply.status for reply in replies] == [200, 200, 404, 400, 200, 404, 405]
    for reply in replies:
        for kind, most in (("requests", 20), ("tokens", 5_000)):
            assert reply.headers[f"x-ratelimit-limit-{kind}"] == str(most)
            assert 0 < int(reply.headers[f"x-ratelimit-remaining-{kind}"]) < most
            assert 0 < seconds(reply.headers[f"x-ratelimit-reset-{kind}"]) <= 61


async def test_tokens_are_reserved_before_and_settled_on_what_the_engine_counted(rig: Rig) -> None:
    limit(rig, tokens_per_minute=2_000)
    pause = asyncio.Event()
    rig.replicas[0].behaviour = streams("a", "b", pause=pause, before=1)
    client = await rig.connect()
    await client.request("POST", CHAT, {**HELLO, "stream": True, "max_tokens": 500})
    await client.head()
    held = account(rig).tokens.total
    assert 500 < held < 700
    pause.set()
    assert len([chunk async for chunk in client.chunks()]) > 0
    assert account(rig).tokens.total == COST


@pytest.mark.parametrize(
    ("body", "held"),
    [
        ({"max_tokens": 3}, 3),
        ({"max_tokens": 3, "n": 2}, 6),
        ({"max_tokens": 3_000}, 1_024),
        ({}, 1_024),
    ],
)
async def test_of_an_answer_no_more_is_reserved_than_may_come_soon(
    rig: Rig, body: dict[str, int], held: int
) -> None:
    limit(rig, tokens_per_minute=100_000)
    rig.replicas[0].behaviour = hangs
    client = await rig.connect()
    await client.request("POST", TEXT, {"model": "tiny", "prompt": "hi", **body})
    await rig.replicas[0].until(lambda: rig.replicas[0].running == 1)
    prompt = account(rig).tokens.total - held
    assert len('{"model": "tiny", "prompt": "hi"}') <= prompt < 100
    await client.close()


async def test_each_prompt_of_a_completion_is_reserved_for(rig: Rig) -> None:
    limit(rig, tokens_per_minute=100_000)
    rig.replicas[0].behaviour = hangs
    client = await rig.connect()
    body = {"model": "tiny", "prompt": ["a", "b", "c"], "max_tokens": 100}
    await client.request("POST", TEXT, body)
    await rig.replicas[0].until(lambda: rig.replicas[0].running == 1)
    assert account(rig).tokens.total > 300
    await client.close()


async def test_a_stream_that_runs_on_is_charged_as_it_goes(rig: Rig) -> None:
    limit(rig, tokens_per_minute=10_000)
    rig.replicas[0].behaviour = hangs_after(*["x"] * 1_500)
    client = await rig.connect()
    await client.request("POST", CHAT, {**HELLO, "stream": True})
    held = 0.0
    async with asyncio.timeout(5):
        while (now := account(rig).tokens.total) <= 1_500:
            held = held or now
            await asyncio.sleep(0.01)
    assert held < 1_024 + 200
    client.reset()


async def test_41_an_abandoned_stream_is_charged_for_what_was_made(rig: Rig) -> None:
    limit(rig, tokens_per_minute=10_000)
    rig.replicas[0].behaviour = hangs_after(*["x"] * 50)
    client = await rig.connect()
    await client.request("POST", CHAT, {**HELLO, "stream": True})
    await client.head()
    received = 0
    async for chunk in client.chunks():
        received += chunk.count(b"\n\n")
        if received == 50:
            break
    client.reset()
    await rig.replicas[0].until(lambda: rig.replicas[0].running == 0)
    await ended(rig)
    assert 49 < account(rig).tokens.total < 49 + 60


async def test_of_an_abandoned_whole_answer_the_reservation_stands(rig: Rig) -> None:
    limit(rig, tokens_per_minute=10_000)
    rig.replicas[0].behaviour = hangs
    client = await rig.connect()
    await client.request("POST", CHAT, {**HELLO, "max_tokens": 100})
    await rig.replicas[0].until(lambda: rig.replicas[0].running == 1)
    held = account(rig).tokens.total
    client.reset()
    await ended(rig)
    assert account(rig).tokens.total == held > 100


async def test_what_we_could_not_serve_costs_no_tokens(rig: Rig) -> None:
    limit(rig, tokens_per_minute=10_000)
    rig.publish([rig.replicas[0].report(Phase.STARTING)])
    assert (await rig.chat()).status == 503
    assert account(rig).tokens.total == 0


async def test_requests_at_one_time_are_counted_until_they_end(rig: Rig) -> None:
    limit(rig, concurrent=1)
    pause = asyncio.Event()
    rig.replicas[0].behaviour = streams("a", "b", pause=pause, before=1)
    client = await rig.connect()
    await client.request("POST", CHAT, {**HELLO, "stream": True})
    await client.head()
    refused = await rig.chat()
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert "x-ratelimit-limit-requests" not in refused.headers
    pause.set()
    assert len([chunk async for chunk in client.chunks()]) > 0
    assert (await rig.chat(stream=True)).status == 200


async def test_a_spent_month_is_not_tried_again_by_clients(rig: Rig) -> None:
    limited = replace(KEY_RECORD, limits=Limits(tokens_per_month=1_000))
    month = (MonthUse(KEY_RECORD.id, 1_000),)
    reports = tuple(replica.report() for replica in rig.replicas)
    rig.core.apply_snapshot(Snapshot(9, (limited,), reports, TOKEN, month=month))
    refused = await rig.chat()
    assert (refused.status, refused.error["code"]) == (429, "insufficient_quota")
    assert refused.error["type"] == "insufficient_quota"
    assert refused.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.headers
    api = openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{rig.port}/v1", api_key=KEY, max_retries=3)
    async with api:
        with pytest.raises(openai.RateLimitError) as error:
            await api.chat.completions.create(
                model="tiny", messages=[{"role": "user", "content": "hi"}]
            )
    assert error.value.code == "insufficient_quota"
    assert rig.replicas[0].calls == []


def limit_tenant(rig: Rig, own: Limits = NO_LIMITS, **limits: int) -> None:
    """Both keys are of one tenant; the first has limits of its own too."""
    both = (replace(KEY_RECORD, limits=own), OTHER_RECORD)
    tenants = Limits(**limits)
    rig.keys = tuple(replace(each, tenant="lab", tenant_limits=tenants) for each in both)
    rig.publish()


async def test_all_keys_of_a_tenant_have_one_limit_together(rig: Rig) -> None:
    limit_tenant(rig, requests_per_minute=3)
    replies = [await rig.chat(), await by_other(rig), await rig.chat(), await by_other(rig)]
    assert [reply.status for reply in replies] == [200, 200, 200, 429]
    left = [reply.headers["x-ratelimit-remaining-requests"] for reply in replies]
    assert left == ["2", "1", "0", "0"]
    message = "The limit of 3 requests per minute of all keys of this tenant is reached."
    assert replies[3].error["message"] == message
    assert int(replies[3].headers["retry-after"]) >= 1


async def test_the_tighter_of_two_limits_refuses_and_is_told(rig: Rig) -> None:
    limit_tenant(rig, Limits(requests_per_minute=1), requests_per_minute=9)
    first, second, other = await rig.chat(), await rig.chat(), await by_other(rig)
    assert [reply.status for reply in (first, second, other)] == [200, 429, 200]
    assert first.headers["x-ratelimit-limit-requests"] == "1"
    assert other.headers["x-ratelimit-limit-requests"] == "9"
    assert other.headers["x-ratelimit-remaining-requests"] == "7"


async def test_a_tenants_tokens_are_settled_on_what_the_engine_counted(rig: Rig) -> None:
    limit_tenant(rig, tokens_per_minute=5_000, concurrent=1)
    for reply in (await rig.chat(), await by_other(rig)):
        assert reply.status == 200
    tenants = rig.core.gate.account("tenant:lab")
    assert (tenants.tokens.total, tenants.in_flight) == (2 * COST, 0)


async def test_a_spent_budget_is_not_tried_again_by_clients(rig: Rig) -> None:
    limit_tenant(rig, nanos_per_month=12_500_000_000)
    month = (MonthUse("tenant:lab", 5, 12_500_000_000),)
    reports = tuple(replica.report() for replica in rig.replicas)
    rig.core.apply_snapshot(Snapshot(9, rig.keys, reports, TOKEN, month=month))
    for refused in (await rig.chat(), await by_other(rig)):
        assert (refused.status, refused.error["code"]) == (429, "insufficient_quota")
        assert refused.headers["x-should-retry"] == "false"
        said = "The budget of 12.5 of all keys of this tenant for this month is used up."
        assert refused.error["message"] == said
    assert rig.replicas[0].calls == []


async def test_a_request_is_recorded_with_the_price_of_the_model_that_answered(
    replica: FakeReplica, tmp_path: Path
) -> None:
    price = {"input": 250, "cached_input": 25, "output": 1_000}
    models = [model(price=price), model("free", replica_set="tiny")]
    async with gateway(tmp_path, replica, models=models) as running:
        await running.chat()
        await running.chat(model="free")
        assert [record["price"] for record in await running.records()] == [price, None]


async def test_without_shares_limited_keys_are_refused_and_others_served(rig: Rig) -> None:
    limit(rig, requests_per_minute=5)
    rig.core.gate.take(Lease(1.0), 0.0)
    refused = await rig.chat()
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert (await by_other(rig)).status == 200


async def test_a_limit_that_is_lifted_is_gone_with_the_next_request(rig: Rig) -> None:
    limit(rig, requests_per_minute=1)
    assert [(await rig.chat()).status for _ in range(2)] == [200, 429]
    limit(rig)
    assert (await rig.chat()).status == 200
    limit(rig, requests_per_minute=1)
    assert [(await rig.chat()).status for _ in range(2)] == [200, 429]
