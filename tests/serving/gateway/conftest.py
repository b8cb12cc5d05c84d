"""The gateway runs on uvloop wherever it runs for real, so it does here."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from tests.fakes import FakeReplica, fake_replica
from tests.serving.gateway.rig import Rig, gateway


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def replica() -> AsyncIterator[FakeReplica]:
    async with fake_replica() as running:
        yield running


@pytest.fixture
async def rig(replica: FakeReplica, tmp_path: Path) -> AsyncIterator[Rig]:
    async with gateway(tmp_path, replica) as running:
        yield running
