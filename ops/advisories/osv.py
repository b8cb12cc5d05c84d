"""Asks osv.dev, which gathers the advisories of PyPI, GitHub and others, about many packages at
once. It is told names and versions of published packages, nothing else.
"""

from collections.abc import Collection
from typing import Any

import aiohttp
import msgspec

from ops.advisories.verdict import Pin
from ops.errors import AdvisoriesUnknown

URL = "https://api.osv.dev/v1/querybatch"
#: All of it; `make check` waits no longer for a service that does not answer.
DEADLINE_S = 10.0
#: The service takes so many questions in a request; the locks have some 300.
MOST_PINS = 1_000
MOST_PAGES = 10


class _Named(msgspec.Struct):
    id: str


class _Result(msgspec.Struct):
    vulns: list[_Named] = []
    next_page_token: str = ""


class _Reply(msgspec.Struct):
    results: list[_Result]


async def ask(pins: Collection[Pin], url: str = URL) -> dict[Pin, list[str]]:
    """The ids of the advisories about each of at most `MOST_PINS`. Raises AdvisoriesUnknown when
    it cannot be asked, and when it does not answer for every one.
    """
    if len(pins) > MOST_PINS:
        raise AdvisoriesUnknown(f"{len(pins)} packages are more than it takes in a request")
    found: dict[Pin, list[str]] = {pin: [] for pin in pins}
    pages = dict.fromkeys(sorted(pins), "")
    timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
            for _ in range(MOST_PAGES):
                if not pages:
                    return found
                pages = _take(found, pages, await _page(session, url, pages))
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
        raise AdvisoriesUnknown(f"{url}: {str(error) or 'no answer in time'}") from None
    raise AdvisoriesUnknown(f"{url}: more than {MOST_PAGES} pages")


async def _page(session: aiohttp.ClientSession, url: str, pages: dict[Pin, str]) -> _Reply:
    queries = [_query(pin, token) for pin, token in pages.items()]
    async with session.post(url, json={"queries": queries}) as reply:
        reply.raise_for_status()
        return msgspec.json.decode(await reply.read(), type=_Reply)


def _query(pin: Pin, token: str) -> dict[str, Any]:
    query = {"package": {"ecosystem": "PyPI", "name": pin.package}, "version": pin.version}
    return {**query, "page_token": token} if token else query


def _take(found: dict[Pin, list[str]], pages: dict[Pin, str], reply: _Reply) -> dict[Pin, str]:
    """Notes what came; answers with those that there is more about. Results come in the order of
    the questions.
    """
    if len(reply.results) != len(pages):
        raise AdvisoriesUnknown(f"{len(reply.results)} answers to {len(pages)} questions")
    for pin, result in zip(pages, reply.results, strict=True):
        found[pin] += [named.id for named in result.vulns]
    results = zip(pages, reply.results, strict=True)
    return {pin: result.next_page_token for pin, result in results if result.next_page_token}
