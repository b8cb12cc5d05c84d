"""A headless Chromium for tests of pages; one for each module, whose tests have no event loop of
their own: what drives the browser keeps one running in this thread meanwhile.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

WAIT_MS = 10_000


@pytest.fixture(scope="module", name="chromium")
def _chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs Debian's chromium: `apt-get install chromium`")
    # Chromium's sandbox refuses root, as CI is.
    arguments = [] if os.getuid() else ["--no-sandbox"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, url: str) -> Iterator[Page]:
    """A page in a profile of its own. Nothing may go wrong in it, and it asks nobody else."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("request", lambda asked: None if asked.url.startswith(url) else wrong.append(asked.url))
    try:
        page.goto(url)
        yield page
    finally:
        context.close()
    assert wrong == []


def sign_in(page: Page, url: str, key: str) -> None:
    page.goto(f"{url}/sign-in")
    page.fill("input[name=name]", "ada")
    page.fill("input[name=key]", key)
    page.click("button[type=submit]")
    page.wait_for_selector("#verdict")
