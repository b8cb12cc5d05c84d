"""A fleet of two nodes, the dashboard that looks at it, and its page in a browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import _chromium, opened
from tests.deployments.test_plan import models, nodes
from tests.ops.dashboard.fake_fleet import FakeFleet, figures, line
from tests.ops.dashboard.site import Site

__all__ = ["_chromium"]


@pytest.fixture
def fleet() -> FakeFleet:
    """Two nodes of eight; `a` may have up to three replicas and has two."""
    made = FakeFleet(
        models(a="tensor: 4, replicas: {min: 2, max: 3}", b="tensor: 2, pipeline: 2"), nodes(8, 8)
    )
    made.figures = {"a": figures("a")}
    made.lines = tuple(line(number) for number in range(30))
    return made


@pytest.fixture
def site(fleet: FakeFleet) -> Iterator[Site]:
    with Site(fleet) as served:
        yield served


@pytest.fixture
def page(chromium: Browser, site: Site) -> Iterator[Page]:
    with opened(chromium, site.url) as shown:
        yield shown
