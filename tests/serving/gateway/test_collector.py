import gc
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.fakes import FakeReplica, streams
from tests.serving.gateway.rig import CHAT, HELLO, Rig

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

    await talk()
    before = of_the_gateway()
    for _ in range(REQUESTS):
        await talk()
    assert {kind: more for kind, more in (of_the_gateway() - before).items() if more > 1} == {}


def test_what_a_gateway_is_made_of_is_not_looked_at_again() -> None:
    """In a process of its own: what is frozen stays so."""
    code = (
        "import gc; from serving.gateway import collector; collector.calm(); "
        "assert gc.isenabled() and gc.get_freeze_count() > len(gc.get_objects())"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
