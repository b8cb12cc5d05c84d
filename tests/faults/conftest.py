"""The gateway runs on uvloop wherever it runs for real, so it does here."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import uvloop

from tests.faults.site import Faulty, open_site


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def faulty(tmp_path: Path, record_property: Callable[[str, object], None]) -> Faulty:
    """Opens a site; what holds after its fault is checked when it closes."""
    return partial(open_site, tmp_path, record_property)
