"""Replicas that die, hang, lie or are slow."""

import json

from serving.snapshot import Load
from tests.fakes import dies, dies_after, ends_after
from tests.faults.site import Faulty, replicas


async def test_02_killed_with_a_request_in_prefill_costs_the_client_nothing(
    faulty: Faulty,
) -> None:
    one, two = replicas(2)
    one.script = [dies]
    two.load = Load(running=5)
    async with faulty(one, two) as site:
        assert (await site.chat()).status == 200
        [record] = await site.invariants_hold()
    assert (record["outcome"], record["attempts"], record["replica_id"]) == (
        "complete",
        2,
        two.replica_id,
    )


async def test_03_killed_mid_stream_ends_with_an_error_event(faulty: Faulty) -> None:
    one, two = replicas(2)
    for behaviour in (dies_after("a", "b"), ends_after("a", "b")):
        one.behaviour = two.behaviour = behaviour
        async with faulty(one, two) as site:
            reply = await site.chat(stream=True)
            assert json.loads(reply.events[-1])["error"]["code"] == "upstream_error"
            site.heals()
            [record] = await site.invariants_hold()
        assert (record["outcome"], record["completion_tokens"]) == ("cut", 1)
        assert record["attempts"] == 1
