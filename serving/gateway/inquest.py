"""Whose request died with a replica, as one gateway and all others know it. No fingerprint is made
while nothing is in quarantine.

A retry after a death waits a moment for the Controller to hear of it: another gateway may have lost
a replica to the same request just now. Without the Controller each gateway goes by what it saw.
"""

import asyncio
from collections.abc import Awaitable, Collection, Iterable
from typing import TypeVar

from serving.quarantine import Death, Quarantine

T = TypeVar("T")


class Inquest:
    def __init__(self, loop: asyncio.AbstractEventLoop, patience_s: float) -> None:
        self._loop = loop
        #: How long a retry waits for the Controller.
        self._patience_s = patience_s
        self._quarantine = Quarantine()
        #: Who waits until the Controller has heard of a request.
        self._waiting: dict[bytes, asyncio.Future[None]] = {}
        #: Set when there is something that the Controller should hear at once.
        self.has_news = asyncio.Event()

    @property
    def quarantined(self) -> Collection[bytes]:
        """Fingerprints of requests that nobody is to send to a replica."""
        return self._quarantine.quarantined

    def blame(self, fingerprint: bytes, replica_id: str) -> None:
        """This replica died with this request."""
        if self._quarantine.add((Death(fingerprint, (replica_id,)),), self._loop.time()):
            self.has_news.set()

    async def heard(self, fingerprint: bytes) -> None:
        """Returns when the Controller knows what is known here, or after the patience."""
        if self._patience_s:
            told = self._waiting.setdefault(fingerprint, self._loop.create_future())
            try:
                await asyncio.wait((told,), timeout=self._patience_s)
            finally:
                self._waiting.pop(fingerprint, None)

    def deaths(self) -> tuple[Death, ...]:
        """What the Controller is to hear: all, since it may have been started anew."""
        self.has_news.clear()
        return self._quarantine.deaths(self._loop.time())

    def sweep(self) -> None:
        """Forgets what is old."""
        self._quarantine.forget(self._loop.time())

    def apply(self, deaths: Iterable[Death]) -> None:
        """A snapshot's deaths: those of all gateways."""
        self._quarantine.add(deaths, self._loop.time())
        for death in deaths:
            told = self._waiting.get(death.fingerprint)
            known = self._quarantine.replicas(death.fingerprint)
            if told is not None and known <= set(death.replica_ids) and not told.done():
                told.set_result(None)


class Interrupted(Exception):
    """There is news to tell before the answer has come."""


async def unless(news: asyncio.Event, answer: Awaitable[T]) -> T:
    """What a question is answered with. Raises Interrupted when there is news before that."""
    asking = asyncio.ensure_future(answer)
    telling = asyncio.ensure_future(news.wait())
    try:
        await asyncio.wait((asking, telling), return_when=asyncio.FIRST_COMPLETED)
        if asking.done():
            return await asking
        raise Interrupted
    finally:
        asking.cancel()
        telling.cancel()
        await asyncio.gather(asking, telling, return_exceptions=True)
