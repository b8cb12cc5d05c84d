import gc
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from tests.fakes import (
    Behaviour,
    FakeReplica,
    dies,
    dies_after,
    hangs,
    refuses,
    says,
    streams,
)
from tests.faults.site import until
from tests.serving.gateway.rig import CHAT, HELLO, Client, Reply, Rig, encode

STREAM = {**HELLO, "stream": True}
REQUESTS = 20


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def of_the_gateway() -> Counter[str]:
    kinds = (type(each) for each in gc.get_objects())
    return Counter(k.__name__ for k in kinds if str(k.__module__).startswith("serving.gateway"))


@pytest.mark.usefixtures("uncollected")
async def test_requests_leave_nothing_for_the_collector(rig: Rig, replica: FakeReplica) -> None:
    replica.behaviour = streams("a", "b")
    client = await rig.connect()

    async def talk() -> None:
        await client.request("POST", CHAT, STREAM)
        assert (await client.reply()).events[-1] == "[DONE]"
        await client.request("POST", CHAT, {**HELLO, "model": "nobody"})
        assert (await client.reply()).status == 404

    await leaves_nothing(talk)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    "behaviour",
    [refuses(400), refuses(500), refuses(503), dies, dies_after("a"), says(b"{")],
    ids=["refuses", "fails", "is busy", "dies", "cuts", "garbles"],
)
async def test_requests_that_fail_leave_nothing_either(
    rig: Rig, replica: FakeReplica, behaviour: Behaviour
) -> None:
    replica.behaviour = behaviour

    async def fails() -> None:
        for stream in (False, True):
            reply = await alone(rig, {**HELLO, "stream": stream})
            assert reply.status >= 400 or b'"error"' in reply.body

    await leaves_nothing(fails)


@pytest.mark.usefixtures("uncollected")
async def test_clients_that_leave_leave_nothing(rig: Rig, replica: FakeReplica) -> None:
    replica.behaviour = hangs
    half_a_body = encode("POST", CHAT, HELLO)[:-1]

    async def leave() -> None:
        for stream in (False, True):
            client = await rig.connect()
            await client.request("POST", CHAT, {**HELLO, "stream": stream})
            await replica.until(lambda: replica.running == 1)
            client.reset()
            await replica.until(lambda: replica.running == 0)
        client = await rig.connect()
        await client.send(half_a_body)
        await until(lambda: rig.server.connections == 1)
        await ended(rig, client)

    await leaves_nothing(leave)


@pytest.mark.usefixtures("uncollected")
async def test_a_count_that_is_not_had_leaves_nothing(rig: Rig, replica: FakeReplica) -> None:
    def breaks(_: dict[str, Any]) -> int:
        raise ConnectionResetError

    replica.count = breaks
    long = {**HELLO, "messages": [{"role": "user", "content": "x" * 15_000}]}

    async def ask() -> None:
        assert (await alone(rig, long)).status == 503

    await leaves_nothing(ask)


async def alone(rig: Rig, body: Any) -> Reply:
    """The answer on a connection of its own, which has ended."""
    client = await rig.connect()
    await client.request("POST", CHAT, body)
    reply = await client.reply()
    await ended(rig, client)
    return reply


async def ended(rig: Rig, client: Client) -> None:
    await client.close()
    await until(lambda: rig.server.connections == 0)


async def leaves_nothing(happens: Callable[[], Awaitable[None]]) -> None:
    """However often it happens, there are as many objects of the gateway as after the first."""
    await happens()
    before = of_the_gateway()
    for _ in range(REQUESTS):
        await happens()
    assert {kind: more for kind, more in (of_the_gateway() - before).items() if more > 1} == {}


def test_what_a_gateway_is_made_of_is_not_looked_at_again() -> None:
    """In a process of its own: what is frozen stays so."""
    code = (
        "import gc; from serving.gateway import collector; collector.calm(); "
        "assert gc.isenabled() and gc.get_freeze_count() > len(gc.get_objects())"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
