"""What keeps a fleet in step, with Serve and Ray's agents on a real port: a GPU that falls off the
bus.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from deployments import accelerator_watch, autoscaler, suspect, upkeep
from deployments.deployed import Deployed
from deployments.event import Kind
from deployments.held import held
from deployments.node_watch import NodeWatch
from deployments.observation import Reports
from deployments.render import render
from deployments.upkeep import Upkeep
from tests.deployments.fake_agents import gpu, node
from tests.deployments.fake_serve import FakeServe
from tests.deployments.test_plan import models, nodes, planned

FLEET, INVENTORY = models(a="replicas: {min: 2, max: 2}, tensor: 4"), nodes(8, 8)


class NoNews:
    """Nobody knows which nodes live."""

    def live_nodes(self) -> tuple[str, ...]:
        raise ConnectionError

    def dismiss_waiting(self) -> None: ...


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second of this test is 100 of a cluster's."""
    monkeypatch.setenv("FLOTILLA_HOME", str(tmp_path))
    monkeypatch.setattr(upkeep, "node_watch", lambda: NodeWatch(NoNews(), lambda: 0.0))
    for module, name, value in (
        (autoscaler, "LOOK_PERIOD_S", 0.02),
        (autoscaler, "STEP_PERIOD_S", 0.02),
        (accelerator_watch, "ASK_PERIOD_S", 0.1),
        (suspect, "CERTAIN_S", 0.3),
    ):
        monkeypatch.setattr(module, name, value)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("quick")
async def test_33_the_node_of_a_lost_gpu_is_suspect_and_only_what_died_of_it_starts_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[tuple[Kind, str, str]] = []
    async with FakeServe().serving() as ray:
        monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", ray.url)
        monkeypatch.setenv("RAY_AUTH_TOKEN", ray.token)
        ray.run(render(FLEET, planned(FLEET, INVENTORY).addresses(), INVENTORY))
        (lost,) = held(ray.running["a.1"])
        assert held(ray.running["a.0"]).keys() == {lost}
        ray.agents.nodes = [node(each.address, *map(gpu, range(8))) for each in INVENTORY.nodes]
        kept = Upkeep(
            Deployed(FLEET, INVENTORY),
            tmp_path / "scaling.json",
            lambda: Reports((), ()),
            lambda _: None,
            lambda kind, subject, text: noted.append((kind, subject, text)),
        )
        try:
            await asyncio.sleep(0.5)
            assert (kept.suspicion.suspects, ray.puts) == ({}, [])
            whole = list(ray.agents.nodes)
            ray.agents.nodes = [
                node(each.address, *map(gpu, range(7 if each.address == lost else 8)))
                for each in INVENTORY.nodes
            ]
            ray.stuck = {"a.1"}
            await until(lambda: kept.suspicion.suspects.keys() == {lost})
            await until(lambda: lost not in held(ray.running["a.1"]))
            ray.stuck = set()
            assert (
                kept.suspicion.suspects[lost]
                == "suspect: its driver answers for 7 of 8 accelerators"
            )
            assert held(ray.running["a.0"]).keys() == {lost}
            assert [each[:2] for each in noted] == [(Kind.PLACEMENT, "a.1")]
            ray.agents.nodes = whole
            await until(lambda: not kept.suspicion.suspects)
            await asyncio.sleep(0.5)
            assert len(ray.puts) == 1
            assert not kept.has_stopped
        finally:
            await kept.end()
    assert kept.has_stopped
