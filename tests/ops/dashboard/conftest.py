"""A fleet of two nodes, the dashboard that looks at it, and its page in a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from deployments.apply import Patience
from ops.dashboard.deploys import Deploys
from tests.browser import _chromium, opened
from tests.deployments.test_plan import models, nodes
from tests.ops.dashboard.fake_fleet import FakeControl, FakeFleet, figures, line
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
def control(fleet: FakeFleet) -> FakeControl:
    return FakeControl(fleet)


@pytest.fixture
def deploys(control: FakeControl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deploys:
    """The lock and the notes are in a folder of the test's own."""
    monkeypatch.setenv("FLOTILLA_HOME", str(tmp_path))
    return Deploys(control, tmp_path, patience=Patience(timeout_s=5, poll_s=0.01))


@pytest.fixture
def site(fleet: FakeFleet, deploys: Deploys) -> Iterator[Site]:
    with Site(fleet, deploys=deploys) as served:
        yield served


@pytest.fixture
def page(chromium: Browser, site: Site) -> Iterator[Page]:
    with opened(chromium, site.url) as shown:
        yield shown
