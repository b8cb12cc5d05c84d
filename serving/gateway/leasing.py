"""Keeps a gateway's shares of limited keys fresh: tells the Controller what is used and takes what
it lends. Never on the path of a request.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from serving.limits.gate import Gate
from serving.limits.lease import ANSWER_S, LEASE_S, Lease, ShareReport

#: Before the first lease, after an answer that brought none, and while nobody is limited.
PAUSE_S = 0.5

Lend = Callable[[ShareReport], Awaitable[Lease | None]]
"""Asks the Controller; None: keep what you have."""

_log = logging.getLogger(__name__)


class Leasing:
    def __init__(self, gateway_id: str, gate: Gate, lend: Lend) -> None:
        self._gateway_id = gateway_id
        self._gate = gate
        self._lend = lend

    async def run(self) -> None:
        pause_s = 0.0
        while True:
            await asyncio.sleep(pause_s)
            pause_s = await self.renew()

    async def renew(self) -> float:
        """Seconds until the next time."""
        if not self._gate.limits:
            return PAUSE_S
        try:
            return await self._ask()
        except Exception as error:  # noqa: BLE001 - Ray's errors have no common root
            _log.warning("no shares from the Controller: %s", type(error).__name__)
            return PAUSE_S

    async def _ask(self) -> float:
        """A lease runs from when it was asked for: nobody can know how long its answer took."""
        asked_s = asyncio.get_running_loop().time()
        async with asyncio.timeout(ANSWER_S):
            lease = await self._lend(self._gate.report(self._gateway_id))
        if lease is None:
            return PAUSE_S
        self._gate.take(lease, LEASE_S - (asyncio.get_running_loop().time() - asked_s))
        return lease.again_in_s

    async def leave(self) -> None:
        """The last word, so that others have its shares within a minute; lost, it takes longer."""
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._lend(self._gate.report(self._gateway_id, is_leaving=True))
        except Exception as error:  # noqa: BLE001 - as above
            _log.warning("the Controller did not hear that we leave: %s", type(error).__name__)
