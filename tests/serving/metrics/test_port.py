"""A scrape needs the token and gets the text; whatever else is asked gets nothing."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from serving.metrics import families
from serving.metrics.exposition import Reading
from serving.metrics.port import MetricsPort
from serving.metrics.token import metrics_token


class Scraped:
    def __init__(self) -> None:
        self.token = metrics_token("internal")
        self.port = MetricsPort(lambda: [Reading(families.KEYS, 2)], lambda: self.token)

    async def get(self, token: str | None, path: str = "/metrics") -> tuple[int, str]:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{self.port.address}{path}", headers=headers) as reply,
        ):
            return reply.status, await reply.text()


@pytest.fixture
async def scraped() -> AsyncIterator[Scraped]:
    made = Scraped()
    await made.port.open("127.0.0.1")
    yield made
    await made.port.close()


async def test_the_token_opens_the_metrics_and_those_of_the_process(scraped: Scraped) -> None:
    status, text = await scraped.get(scraped.token)
    assert status == 200
    assert "\nflotilla_keys 2.0\n" in text
    assert "process_resident_memory_bytes" in text


@pytest.mark.parametrize("token", [None, "", "internal", "0" * 64, "\xfc"])
async def test_without_it_there_is_nothing(scraped: Scraped, token: str | None) -> None:
    assert await scraped.get(token) == (401, "")


async def test_before_there_is_a_token_it_opens_to_nobody(scraped: Scraped) -> None:
    scraped.token = ""
    assert (await scraped.get(""))[0] == 401


async def test_there_is_no_other_route(scraped: Scraped) -> None:
    for path in ("/", "/metrics/", "/debug"):
        assert (await scraped.get(scraped.token, path))[0] == 404


def test_the_token_follows_from_the_internal_one_and_is_another() -> None:
    assert metrics_token("a") == metrics_token("a") != metrics_token("b")
    assert len(metrics_token("a")) == 64
