"""Hosts for the tests of this folder; without root and namespaces each test says that it did not
run.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.hosts.host import hosts, missing
from tests.hosts.site import Site


@pytest.fixture
def site() -> Iterator[Site]:
    """A head and three nodes, switched on, with nothing on them but a clone on the head."""
    with _site(4) as found:
        yield found


@pytest.fixture
def small_site() -> Iterator[Site]:
    """A head and two nodes."""
    with _site(3) as found:
        yield found


@contextmanager
def _site(count: int) -> Iterator[Site]:
    reason = missing()
    if reason:
        pytest.skip(reason)
    with hosts(count) as made:
        found = Site(made)
        found.clone()
        yield found
