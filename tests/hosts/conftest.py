"""Hosts for the tests of this folder; without root and namespaces each test says that it did not
run.
"""

from collections.abc import Iterator

import pytest

from tests.hosts.host import hosts, missing
from tests.hosts.site import Site


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A head and three nodes, switched on, with nothing on them but a clone on the head."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    with hosts(4) as made:
        found = Site(made)
        found.clone()
        yield found
