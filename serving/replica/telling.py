"""Brings the tally's counts to the ledger, a few hundred at a time; no request waits on it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from serving.replica.tally import Tally

TELL_PERIOD_S = 1.0
#: Between two tries while the ledger is away.
LONGEST_PAUSE_S = 10.0
#: A replica that stops tries this long to leave nothing untold.
FAREWELL_S = 5.0

Record = Callable[[bytes], Awaitable[bool]]
"""Lines to the ledger; true when it has them."""


class Telling:
    def __init__(self, tally: Tally, record: Record) -> None:
        self._tally = tally
        self._record = record

    async def run(self) -> None:
        pause_s = TELL_PERIOD_S
        while True:
            is_told = await self.tell()
            pause_s = TELL_PERIOD_S if is_told else min(2 * pause_s, LONGEST_PAUSE_S)
            await asyncio.sleep(pause_s)

    async def tell(self) -> bool:
        """Until there is nothing to tell; false when the ledger does not take it."""
        while True:
            lines, next_number = self._tally.untold()
            if not lines:
                return True
            if not await self._record(lines):
                return False
            self._tally.told(next_number)

    async def farewell(self) -> None:
        """The rest, as far as it goes in a moment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await self.tell()
