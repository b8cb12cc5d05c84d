"""One headless Chromium for all tests of pages, a new profile for each."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.deployments.test_plan import models, nodes
from tests.ops.dashboard.fake_fleet import FakeFleet, books, figures, line
from tests.ops.dashboard.site import KEY, Site


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs Debian's chromium: `apt-get install chromium`")
    sandbox = [] if os.getuid() else ["--no-sandbox"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture
def fleet() -> FakeFleet:
    """Two nodes of eight; `a` may have up to three replicas and has two."""
    made = FakeFleet(
        models(a="tensor: 4, replicas: {min: 2, max: 3}", b="tensor: 2, pipeline: 2"), nodes(8, 8)
    )
    made.figures = {"a": figures("a")}
    made.books = books()
    made.lines = tuple(line(number) for number in range(30))
    return made


@pytest.fixture
def site(fleet: FakeFleet) -> Iterator[Site]:
    with Site(fleet) as served:
        yield served


@pytest.fixture
def page(chromium: Browser, site: Site) -> Iterator[Page]:
    """The overview, open; nothing may go wrong in the browser, and nothing is asked elsewhere."""
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(10_000)
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    opened.on("request", lambda asked: wrong.append(asked.url) if site.url not in asked.url else None)
    opened.goto(site.url)
    yield opened
    context.close()
    assert wrong == []


def sign_in(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/sign-in")
    page.fill("input[name=name]", "ada")
    page.fill("input[name=key]", KEY)
    page.click("button[type=submit]")
    page.wait_for_selector("#verdict")
