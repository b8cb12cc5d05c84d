"""One look for all who watch."""

import asyncio
from typing import Any

import pytest

from ops.dashboard.facts import Facts
from ops.dashboard.watch import MOST_HANDED_OUT, Watch
from tests.ops.dashboard.fake_fleet import FakeFleet


async def test_a_viewer_is_told_everything_first_and_then_what_changed(fleet: FakeFleet) -> None:
    watch = Watch(fleet)
    await watch.look()
    news = watch.news()
    first = [await anext(news) for _ in watch.panels]
    assert any('id="verdict"' in html for html in first)
    fleet.falls_silent("a.0")
    told = asyncio.ensure_future(_until(news, "a.0 is silent"))
    await asyncio.sleep(0)
    await watch.look()
    await asyncio.wait_for(told, 5)
    await news.aclose()


async def test_a_ticket_brings_what_is_new_since_its_page_and_a_second_time_everything(
    fleet: FakeFleet,
) -> None:
    watch = Watch(fleet)
    ticket, _ = await watch.hand_out()
    others = [(await watch.hand_out())[0] for _ in range(MOST_HANDED_OUT - 1)]
    fleet.falls_silent("a.0")
    await watch.look()
    assert 'id="models"' not in await _said(watch, ticket)
    for unknown in (ticket, "", "made up"):
        assert 'id="models"' in await _said(watch, unknown)
    for _ in range(2):
        await watch.hand_out()
    assert 'id="models"' in await _said(watch, others[0])
    assert 'id="models"' not in await _said(watch, others[1])


async def _said(watch: Watch, ticket: str) -> str:
    """What a page hears up to the replica that fell silent; models come before replicas."""
    news, said = watch.news(ticket), ""
    while 'id="replica-a.0"' not in said:
        said += await anext(news)
    await news.aclose()
    return said


async def test_nobody_looks_while_nobody_watches(fleet: FakeFleet) -> None:
    watch = Watch(fleet, period_s=0.0)
    running = asyncio.create_task(watch.run())
    await asyncio.sleep(0.01)
    assert fleet.looks == 0
    news = watch.news()
    await asyncio.wait_for(_until(news, 'id="verdict"'), 5)
    await news.aclose()
    await asyncio.sleep(0.01)
    looks = fleet.looks
    await asyncio.sleep(0.01)
    assert fleet.looks <= looks + 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_look_that_fails_is_followed_by_another(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, failures = fleet.facts, [ValueError("once")]

    async def once_broken() -> Facts:
        if failures:
            raise failures.pop()
        return await facts()

    monkeypatch.setattr(fleet, "facts", once_broken)
    watch = Watch(fleet, period_s=0.0)
    running = asyncio.create_task(watch.run())
    news = watch.news()
    await asyncio.wait_for(_until(news, 'id="verdict"'), 5)
    await news.aclose()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def _until(news: Any, wanted: str) -> None:
    async for html in news:
        if wanted in html:
            return
