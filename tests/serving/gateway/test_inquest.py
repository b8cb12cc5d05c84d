"""A retry after a death waits until the Controller has heard of it, and not for ever."""

import asyncio

import pytest

from serving.gateway.inquest import Inquest, Interrupted, unless
from serving.quarantine import Death

A = b"a" * 16


def inquest(patience_s: float) -> Inquest:
    return Inquest(asyncio.get_running_loop(), patience_s)


async def test_a_retry_goes_on_when_the_controller_has_heard_of_this_death() -> None:
    here = inquest(60.0)
    here.blame(A, "m.1")
    waiting = asyncio.create_task(here.heard(A))
    await asyncio.sleep(0)
    here.apply((Death(A, ("m.0",)),))  # of another gateway; ours was on the way
    await asyncio.sleep(0)
    assert not waiting.done()
    here.apply((Death(A, ("m.0", "m.1")),))
    await asyncio.wait_for(waiting, 1)
    assert A in here.quarantined


async def test_without_the_controller_it_goes_on_after_a_moment() -> None:
    here = inquest(0.01)
    here.blame(A, "m.1")
    await asyncio.wait_for(here.heard(A), 1)
    assert A not in here.quarantined


async def test_a_gateway_of_its_own_waits_for_nobody() -> None:
    here = inquest(0.0)
    here.blame(A, "m.1")
    await asyncio.wait_for(here.heard(A), 1)


async def test_what_is_news_is_told_once_and_kept_for_a_controller_that_forgot() -> None:
    here = inquest(0.0)
    here.blame(A, "m.1")
    assert here.has_news.is_set()
    assert [death.replica_ids for death in here.deaths()] == [("m.1",)]
    assert not here.has_news.is_set()
    here.blame(A, "m.1")
    assert not here.has_news.is_set()
    assert len(here.deaths()) == 1


async def test_an_answer_is_waited_for_unless_there_is_news_to_tell() -> None:
    news = asyncio.Event()
    assert await unless(news, asyncio.sleep(0, "answer")) == "answer"
    asking = asyncio.create_task(unless(news, asyncio.sleep(60, "answer")))
    await asyncio.sleep(0)
    news.set()
    with pytest.raises(Interrupted):
        await asyncio.wait_for(asking, 1)


async def test_a_question_that_fails_fails() -> None:
    async def broken() -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await unless(asyncio.Event(), broken())
