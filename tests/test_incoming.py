"""The fake replica loses nothing of what its caller sends early."""

import asyncio

from tests.fakes import TOKEN, FakeReplica, fake_replica
from tests.serving.gateway.rig import CHAT, HELLO, Client, encode

HEADERS = {"authorization": f"Bearer {TOKEN}", "x-request-id": "1"}
ASK = encode("POST", CHAT, HELLO, HEADERS)


async def test_a_request_that_comes_while_one_is_answered_is_the_next() -> None:
    async with fake_replica(FakeReplica()) as replica:
        client = Client(*await asyncio.open_connection("127.0.0.1", replica.port))
        await client.send(ASK + ASK)
        for _ in range(2):
            assert (await client.reply()).status == 200
        await client.close()


async def test_a_caller_that_leaves_is_noticed_behind_what_it_sent_early() -> None:
    async def never(_: object) -> None:
        await asyncio.Event().wait()

    async with fake_replica(FakeReplica(behaviour=never)) as replica:
        client = Client(*await asyncio.open_connection("127.0.0.1", replica.port))
        await client.send(ASK + ASK)
        await client.close()
        await replica.until(lambda: replica.aborted == 1)
