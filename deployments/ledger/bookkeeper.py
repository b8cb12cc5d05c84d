"""Keeps what gateways know of the ledger in step with it: keys at once when an act changes them,
keys and the month's usage again every few seconds, whatever expired meanwhile. And the ledger
within its bounds, and told of what operators do elsewhere.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from deployments.ledger.acts import Act
from deployments.ledger.errors import LedgerError, LedgerUnusable
from deployments.ledger.ledger import Ledger
from deployments.ledger.trust import Trust
from serving.snapshot import NO_USAGE, KeyNews, KeyRecord, UsageReport

#: An operator's act is told at once; this is for expiry, and for a ledger that comes back.
LOOK_PERIOD_S = 5.0
COMPLAINT_PERIOD_S = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the ledger said last."""

    keys: tuple[KeyRecord, ...] = ()
    key_news: KeyNews = KeyNews.UNREAD
    usage: UsageReport = NO_USAGE


class Bookkeeper:
    """`tell` hears of every change."""

    def __init__(
        self,
        ledger: Ledger,
        tell: Callable[[Knowledge], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._tell = tell
        self._clock = clock
        self._trust = Trust(clock())
        self._known = Knowledge()
        self._silent_until_s = 0.0
        #: One look at a time: an older one must not be told after a newer one.
        self._looking = asyncio.Lock()
        #: Set when the first look is over, whatever came of it.
        self.has_looked = asyncio.Event()

    async def run(self) -> None:
        while True:
            await self.look()
            with contextlib.suppress(LedgerError):  # the look has said it
                await self._ledger.take_notes()
                await self._ledger.forget()
            await asyncio.sleep(LOOK_PERIOD_S)

    async def perform(self, act: Act, who: str) -> str:
        """Returns when it is done and told. Raises LedgerError."""
        shown = await self._ledger.perform(act, who)
        await self.look()
        return shown

    async def look(self) -> None:
        """Reads the ledger once; what cannot be read is told too, when it lasts."""
        async with self._looking:
            try:
                keys, usage = await self._ledger.keys(), await self._ledger.month()
            except LedgerError as error:
                self._failed(error)
            else:
                self._trust = Trust(self._clock())
                self._know(Knowledge(keys, KeyNews.CURRENT, usage))
        self.has_looked.set()

    def _failed(self, error: LedgerError) -> None:
        self._complain(error)
        now_s, is_unusable = self._clock(), isinstance(error, LedgerUnusable)
        self._trust = self._trust.failed(now_s, is_unusable=is_unusable)
        if not self._trust.holds(now_s):
            self._know(replace(self._known, key_news=KeyNews.LOST))

    def _know(self, knowledge: Knowledge) -> None:
        if knowledge != self._known:
            self._known = knowledge
            self._tell(knowledge)

    def _complain(self, error: LedgerError) -> None:
        now_s = self._clock()
        if now_s >= self._silent_until_s:
            _log.error("%s", error)
            self._silent_until_s = now_s + COMPLAINT_PERIOD_S
