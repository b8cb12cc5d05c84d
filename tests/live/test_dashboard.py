"""The dashboard of a real fleet, in a real browser: it shows what is there, and what happens."""

import json
import os
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import _chromium, opened, sign_in
from tests.live.conftest import DEMO
from tests.live.fleet_under_test import NEVER_ENDS, QUESTION, LiveFleet, wait_for

__all__ = ["_chromium"]

#: Whoever comes first waits for the fleet.
pytestmark = pytest.mark.timeout(900)

#: A dead replica is red within five seconds.
RED_MS = 5_000
#: What is no promise may take its time where engines have the cores.
PATIENCE_MS = 60_000


@pytest.fixture
def page(chromium: Browser, fleet: LiveFleet) -> Iterator[Page]:
    url = f"http://127.0.0.1:{fleet.port + 1}"
    with opened(chromium, url) as shown:
        sign_in(shown, url, (fleet.home / "dashboard_key").read_text())
        expect.set_options(timeout=PATIENCE_MS)
        yield shown
        expect.set_options(timeout=None)


def test_the_playground_answers_and_its_request_is_in_the_list(
    page: Page, fleet: LiveFleet
) -> None:
    overview = page.url
    page.goto(f"{overview}playground")
    page.select_option("select[name=model]", "demo")
    page.fill("input[name=key]", fleet.key)
    page.fill("textarea[name=question]", "How do I create an API key?")
    expect(page.locator("#as-curl")).to_contain_text(f"{fleet.base_url}/chat/completions")
    page.click("button[name=send]")
    expect(page.locator("#timings")).to_contain_text("tokens/s")
    # Who leaves before the end is a client that is gone, and the list would say so.
    expect(page.locator("button[name=send]")).to_be_enabled()
    expect(page.locator(".turn.assistant")).to_contain_text("flotilla keys create")
    request_id = page.locator("#timings").inner_text().rpartition("request ")[2]
    page.goto(overview)
    story = page.locator(f"[id='request-{request_id}']")
    expect(story).to_contain_text("asked demo")
    expect(story).to_contain_text("complete")


def test_a_request_in_flight_is_on_the_page_and_in_the_command(
    page: Page, fleet: LiveFleet
) -> None:
    row = page.locator("#in-flight tbody tr")
    with fleet.client() as client:
        stream = client.chat.completions.create(
            model="demo",
            messages=[{"role": "user", "content": QUESTION}],
            max_tokens=7_000,
            logit_bias=NEVER_ENDS,
            stream=True,
        )
        next(stream)
        expect(row).to_contain_text("streams")
        expect(row).to_contain_text("demo.0#")
        (found,) = json.loads(fleet.run("requests", "--json").stdout)["requests"]
        assert (found["model_asked"], found["phase"]) == ("demo", "stream")
        assert found["tokens"] > 0
        stream.close()
    expect(row).to_have_count(0)
    # Every part has answered, and nobody measures the slots of a CPU.
    expect(page.locator("#verdict.well")).to_be_visible()
    expect(page.locator("#cluster .measured")).to_have_text("-")


def test_a_replica_that_is_stopped_turns_red_within_five_seconds_and_recovers(
    page: Page, fleet: LiveFleet
) -> None:
    pid = fleet.replica("demo.0")["pid"]
    expect(page.locator("[id='replica-demo.0'] .badge.well")).to_be_visible()
    os.kill(pid, signal.SIGSTOP)
    try:
        red = page.locator("#cluster .stage.ill").first
        expect(red).to_be_visible(timeout=RED_MS)
        expect(page.locator("#verdict.ill")).to_contain_text("demo.0 is silent")
    finally:
        os.kill(pid, signal.SIGCONT)
    expect(page.locator("[id='replica-demo.0'] .badge.well")).to_be_visible()


def test_a_key_that_the_page_made_works_and_is_in_the_audit(page: Page, fleet: LiveFleet) -> None:
    page.locator("#tenants button", has_text="make a key").click()
    page.fill("#dialog input[name=name]", "from-the-page")
    page.click("#dialog button[type=submit]")
    mine, fleet.key = fleet.key, page.locator("#dialog .secret").inner_text()
    try:
        assert fleet.says("demo")
    finally:
        fleet.key = mine
    assert "ada (dashboard)" in fleet.run("audit").stdout


@pytest.mark.heavy  # vLLM is imported for each plan
def test_a_fleet_is_deployed_from_the_page_and_the_one_before_again(
    page: Page, fleet: LiveFleet
) -> None:
    before = fleet.replica("demo.0")["pid"]
    page.goto(f"{page.url}fleet")
    page.fill("textarea", fleet.file(DEMO.replace("small", "little")).read_text())
    _make_run(page, "text=Show its plan")
    assert fleet.says("little")
    page.reload()
    # The newest is what runs, and the one after it is what ran before.
    _make_run(page, "#past li:nth-child(2) button")
    assert fleet.says("small")
    assert fleet.replica("demo.0")["pid"] == before
    # The Controller takes what was noted into the audit when it looks next.
    wait_for(lambda: "rollback" in fleet.run("audit").stdout or None, "a rollback in the audit")


def _make_run(page: Page, button: str) -> None:
    """Asks for the plan, reads it, confirms it, and waits until it runs."""
    page.click(button)
    expect(page.locator("#plan pre")).to_contain_text("~  change  flotilla", timeout=120_000)
    expect(page.locator("#plan pre")).to_contain_text("=  keep    demo.0")
    page.click("#plan button[type=submit]")
    expect(page.locator("#progress")).to_contain_text("done: the fleet runs", timeout=120_000)
