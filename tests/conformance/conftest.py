"""A real gateway before a scripted engine, for clients that others wrote."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conformance.clients import Endpoint
from tests.conformance.engine import DIE, speaks
from tests.fakes import FakeReplica, fake_replica
from tests.serving.gateway.conftest import pytest_asyncio_loop_factories
from tests.serving.gateway.rig import KEY, Rig, gateway

__all__ = ["pytest_asyncio_loop_factories"]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with (
        fake_replica(FakeReplica(behaviour=speaks)) as replica,
        gateway(tmp_path, replica) as running,
    ):
        yield running


@pytest.fixture
def endpoint(rig: Rig) -> Endpoint:
    return Endpoint(f"http://127.0.0.1:{rig.port}/v1", KEY, "tiny", DIE)
