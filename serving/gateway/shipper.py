"""Brings the spool's records to the ledger, and those of gateways that died on this node.

Rules
- One batch at a time; the next is read when the ledger has this one, so memory holds one batch
  whatever the backlog.
- What was sent and not acknowledged is sent again: the ledger counts a request once.
- While the ledger is away it is asked less and less often.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from serving.spool import Spool
from serving.spool_claim import Claim, spools_in
from serving.spool_part import batches, cut
from serving.spool_underway import noted

#: Between two looks at the spool; how old the ledger's news of a quiet gateway is.
SHIP_PERIOD_S = 0.5
#: Between two tries while the ledger is away.
LONGEST_PAUSE_S = 10.0
#: Gateways die seldom.
ORPHAN_PERIOD_S = 15.0
#: A gateway that ends tries this long to leave nothing behind.
FAREWELL_S = 5.0

Send = Callable[[bytes], Awaitable[bool]]
"""Lines to the ledger; true when it has them on its disk, false for every failure."""

_log = logging.getLogger(__name__)


class Shipper:
    def __init__(self, spool: Spool, send: Send, *, period_s: float = SHIP_PERIOD_S) -> None:
        self._spool = spool
        self._send = send
        self._period_s = period_s
        self._orphans_due_s = 0.0

    async def run(self) -> None:
        """Ships for as long as the gateway lives."""
        loop, pause_s = asyncio.get_running_loop(), self._period_s
        while True:
            is_done = await self.ship()
            if is_done and loop.time() >= self._orphans_due_s:
                is_done = await self.ship_orphans()
                self._orphans_due_s = loop.time() + ORPHAN_PERIOD_S
            pause_s = self._period_s if is_done else min(2 * pause_s, LONGEST_PAUSE_S)
            await asyncio.sleep(pause_s)

    async def ship(self) -> bool:
        """Until the spool is empty or the ledger is away; true when it is empty."""
        try:
            while (batch := await self._spool.unshipped()) is not None:
                if not await self._send(batch.lines):
                    return False
                await self._spool.acknowledge(batch)
        except OSError as error:
            _log.warning("usage spool %s: %s", self._spool.folder, error.strerror)
            return False
        return True

    async def farewell(self) -> None:
        """The rest, when the spool is closed and nobody writes to it; a successor finds what the
        ledger does not take in time.
        """
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self.ship_orphans()
        except TimeoutError:
            return

    async def ship_orphans(self) -> bool:
        """Spools in this folder whose gateway is gone; true when none is left."""
        folder = self._spool.folder
        try:
            for name in await asyncio.to_thread(spools_in, folder):
                claim = await asyncio.to_thread(Claim.take, folder, name)
                if claim is not None and not await self._adopt(claim):
                    return False
        except OSError as error:
            _log.warning("usage spool %s: %s", folder, error.strerror)
            return False
        return True

    async def _adopt(self, claim: Claim) -> bool:
        try:
            for path in claim.parts():
                if not await self._ship_file(path):
                    return False
            return await self._ship_underway(claim.underway)
        finally:
            claim.release()

    async def _ship_underway(self, path: Path) -> bool:
        """What replicas had when their gateway was killed. Behind its records: the first word about
        a request stands.
        """
        for lines in cut(await asyncio.to_thread(noted, path)):
            if not await self._send(lines):
                return False
        await asyncio.to_thread(path.unlink, missing_ok=True)
        return True

    async def _ship_file(self, path: Path) -> bool:
        for lines in await asyncio.to_thread(lambda: list(batches(path))):
            if not await self._send(lines):
                return False
        await asyncio.to_thread(path.unlink, missing_ok=True)
        return True
