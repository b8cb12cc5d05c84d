"""A replica that is far away over a lossy network: row 23."""

import asyncio
import json
import random
from dataclasses import replace

from tests.fakes import Call
from tests.faults.distance import Distance
from tests.faults.site import Faulty, replicas
from tests.serving.gateway.rig import Reply

DELAY_S, LOST_SHARE = 0.1, 0.05
CLIENTS = 12
TOKENS = [f" {number}" for number in range(30)]


async def test_23_delay_and_loss_cost_time_and_no_token_comes_twice(faulty: Faulty) -> None:
    """200 ms there and back, and every twentieth chunk sent again."""
    [one] = replicas(1)
    one.behaviour = speaks
    distance = Distance(DELAY_S, LOST_SHARE, random.Random(23))  # noqa: S311
    async with faulty(one) as site, distance.to(one.port) as address:
        site.rig.publish([replace(one.report(), address=address)])
        began_s = site.core.loop.time()
        streams = await asyncio.gather(*(site.chat(stream=True) for _ in range(CLIENTS)))
        took_s = site.core.loop.time() - began_s
        assert [said(stream) for stream in streams] == [TOKENS] * CLIENTS
        assert took_s >= 2 * DELAY_S
        assert distance.lost
        whole = await site.chat()
        assert whole.json["choices"][0]["message"]["content"] == "".join(TOKENS)
        site.measured("lost at first", 100 * distance.lost / distance.carried, "% of chunks")
        records = await site.invariants_hold()
    assert [record["attempts"] for record in records] == [1] * (CLIENTS + 1)
    assert {record["outcome"] for record in records} == {"complete"}


async def speaks(call: Call) -> None:
    """A token now and then, so that each is a chunk of its own."""
    if not call.body.get("stream"):
        return await call.reply_json(call.whole("".join(TOKENS)))
    await call.start_stream()
    for token in TOKENS:
        await asyncio.sleep(0.005)
        await call.event(call.chunk(token))
    await call.event(call.usage_chunk(len(TOKENS)))
    await call.send(b"data: [DONE]\n\n")
    return await call.end_stream()


def said(stream: Reply) -> list[str]:
    *events, last = stream.events
    assert last == "[DONE]"
    choices = [choice for event in events for choice in json.loads(event)["choices"]]
    return [choice["delta"]["content"] for choice in choices if choice["delta"].get("content")]
