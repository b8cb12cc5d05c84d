"""The advisory service over real HTTP, in the shape that its documentation gives."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from ops.advisories import __main__ as command
from ops.advisories.osv import MOST_PINS, ask
from ops.advisories.verdict import Pin
from ops.errors import AdvisoriesUnknown

JINJA = Pin("jinja2", "2.4.1")
YAML = Pin("pyyaml", "6.0")


@asynccontextmanager
async def service(*replies: Any) -> AsyncIterator[tuple[str, list[Any]]]:
    """Gives these replies in turn; its URL, and what it was asked."""
    asked: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((await request.json())["queries"])
        return web.json_response(replies[len(asked) - 1])

    app = web.Application()
    app.router.add_post("/v1/querybatch", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1/querybatch", asked
    finally:
        await runner.cleanup()


def query(name: str, version: str) -> dict[str, Any]:
    return {"package": {"ecosystem": "PyPI", "name": name}, "version": version}


async def test_all_packages_are_asked_for_in_one_request() -> None:
    vuln = {"id": "GHSA-a", "modified": "2026-01-01T00:00:00Z"}
    async with service({"results": [{"vulns": [vuln]}, {}]}) as (url, asked):
        assert await ask({YAML, JINJA}, url) == {JINJA: ["GHSA-a"], YAML: []}
    assert asked == [[query("jinja2", "2.4.1"), query("pyyaml", "6.0")]]


async def test_what_is_on_a_next_page_is_fetched_too() -> None:
    first = {"results": [{}, {"vulns": [{"id": "GHSA-a"}], "next_page_token": "more"}]}
    async with service(first, {"results": [{"vulns": [{"id": "GHSA-b"}]}]}) as (url, asked):
        assert await ask({YAML, JINJA}, url) == {JINJA: [], YAML: ["GHSA-a", "GHSA-b"]}
    assert asked[1] == [{**query("pyyaml", "6.0"), "page_token": "more"}]


@pytest.mark.parametrize(
    "reply", [{"results": []}, {"results": [{}, {}]}, {}, [], {"results": [{"vulns": "none"}]}]
)
async def test_an_answer_that_is_not_about_every_package_is_none(reply: Any) -> None:
    async with service(reply) as (url, _):
        with pytest.raises(AdvisoriesUnknown):
            await ask({JINJA}, url)


async def test_pages_without_end_are_left() -> None:
    endless = {"results": [{"next_page_token": "more"}]}
    async with service(*[endless] * 20) as (url, asked):
        with pytest.raises(AdvisoriesUnknown, match="more than 10 pages"):
            await ask({JINJA}, url)
    assert len(asked) == 10


async def test_more_packages_than_a_request_takes_are_refused_unasked() -> None:
    with pytest.raises(AdvisoriesUnknown, match="1001 packages"):
        await ask({Pin("a", str(n)) for n in range(MOST_PINS + 1)})


def test_silence_is_said_and_is_no_good_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main("http://127.0.0.1:1/") == command.NOT_ASKED
    assert "advisories: not asked" in capsys.readouterr().err


def test_every_acceptance_has_its_reason() -> None:
    assert [name for name, why in command.accepted().items() if len(why.split()) < 4] == []
