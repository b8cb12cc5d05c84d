"""Clients that pause: nothing is lost. Those that leave or never read: tests/faults."""

import json

from tests.fakes import FakeReplica, streams
from tests.serving.gateway.rig import CHAT, HELLO, Rig

STREAM = {**HELLO, "stream": True}


async def test_a_reader_that_pauses_loses_nothing(rig: Rig, replica: FakeReplica) -> None:
    tokens = [f"{n:06d}" * 400 for n in range(2_000)]
    replica.behaviour = streams(*tokens)
    client = await rig.connect()
    await client.request("POST", CHAT, STREAM)
    await replica.until(lambda: replica.running == 1)
    reply = await client.reply(30)
    texts = [json.loads(e)["choices"][0]["delta"]["content"] for e in reply.events[:-1]]
    assert texts == tokens
    assert reply.events[-1] == "[DONE]"


async def test_the_next_request_after_a_paused_stream_is_answered(
    rig: Rig, replica: FakeReplica
) -> None:
    replica.script = [streams(*["x" * 10_000] * 400)]
    client = await rig.connect()
    await client.request("POST", CHAT, STREAM)
    assert (await client.reply()).events[-1] == "[DONE]"
    for _ in range(3):
        await client.request("POST", CHAT, HELLO)
        assert (await client.reply()).status == 200
