"""What agents measure is told by the address of their node; what nobody measures is unknown, and
never zero.
"""

from collections.abc import AsyncIterator

import pytest

from deployments.errors import AcceleratorsUnreadable
from deployments.node_agents import Measured, NodeAgents
from tests.deployments.fake_agents import FakeAgents, fake_agents, gpu, node


@pytest.fixture
async def ray() -> AsyncIterator[FakeAgents]:
    async with fake_agents() as fake:
        yield fake


async def accelerators(ray: FakeAgents) -> dict[str, tuple[Measured, ...]]:
    async with NodeAgents(ray.url) as agents:
        return await agents.accelerators()


async def test_every_accelerator_is_told_with_what_its_driver_knows(ray: FakeAgents) -> None:
    odd = gpu(1, utilizationGpu=None, temperatureC=None)
    ray.nodes = [
        node("172.26.0.11", gpu(0), odd, gpu(2, utilizationGpu=-1), label="10.0.0.1"),
    ]
    assert await accelerators(ray) == {
        "10.0.0.1": (
            Measured(0, 61, 61_440 << 20, 81_559 << 20, 0.9),
            Measured(1, None, 61_440 << 20, 81_559 << 20, None),
            Measured(2, 61, 61_440 << 20, 81_559 << 20, None),
        )
    }


async def test_a_driver_that_answers_for_none_is_told_and_a_node_without_an_answer_is_not(
    ray: FakeAgents,
) -> None:
    ray.nodes = [
        node("10.0.0.1"),
        {"raylet": {"state": "ALIVE", "nodeManagerAddress": "10.0.0.2"}},
        {**node("10.0.0.3"), "gpus": None},
        node("10.0.0.4", gpu(0), state="DEAD"),
        {},
    ]
    assert await accelerators(ray) == {"10.0.0.1": ()}


async def test_an_answer_that_is_none_says_so(ray: FakeAgents) -> None:
    ray.status = 500
    with pytest.raises(AcceleratorsUnreadable, match="answered 500"):
        await accelerators(ray)
    ray.status = 200
    ray.nodes = [{"raylet": {"state": 7}}]
    with pytest.raises(AcceleratorsUnreadable, match="does not tell"):
        await accelerators(ray)
    ray.url = "http://127.0.0.1:1"
    with pytest.raises(AcceleratorsUnreadable, match="does not tell"):
        await accelerators(ray)
