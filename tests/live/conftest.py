"""One real cluster for all live tests: its engines start once, in the order the tests need them."""

from collections.abc import Callable, Iterator

import pytest

from tests.live.aftermath import Fault
from tests.live.fleet_under_test import ENGINE, MODEL, LiveFleet

PORT = 18000
RAY_PORT = 26379

#: Two public names over one replica, the smaller window falling back to the larger.
DEMO = f"""\
  demo-2k:
    replicas_of: demo
    max_model_len: 2048
    fallback: demo
    aliases: [small]
  demo:
    source: {MODEL}
    max_model_len: 8192
    engine: {ENGINE}
"""


@pytest.fixture(scope="session")
def fleet() -> Iterator[LiveFleet]:
    """The demo models, up; whatever a test deploys besides is gone again after it."""
    live = LiveFleet(PORT, RAY_PORT)
    try:
        live.up(DEMO)
        yield live
    finally:
        left = live.down()
    assert left == []


@pytest.fixture
def fault(fleet: LiveFleet, record_property: Callable[[str, object], None]) -> Iterator[Fault]:
    """Something breaks in a test; when it has ended everything is looked over."""
    found = Fault(fleet, record_property)
    yield found
    found.heals()
