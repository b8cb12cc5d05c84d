"""Asks now and then what the nodes' drivers answer for, and keeps what follows from it. Decides
nothing: that is `suspect`.
"""

import asyncio
import logging
from collections.abc import Callable

from cluster.inventory import Inventory
from deployments.errors import AcceleratorsUnreadable
from deployments.node_agents import NodeAgents
from deployments.suspect import Suspicion

#: Ray's agents measure twice as often.
ASK_PERIOD_S = 10.0

_log = logging.getLogger(__name__)


class AcceleratorWatch:
    """`now_s` is a clock that never goes back."""

    def __init__(self, agents: NodeAgents, now_s: Callable[[], float]) -> None:
        self._agents = agents
        self._now_s = now_s
        #: What is known of the nodes by now.
        self.suspicion = Suspicion()

    async def look(self, inventory: Inventory) -> None:
        """Asks once; who does not answer is judged by what was known before."""
        try:
            measured = await self._agents.accelerators()
        except AcceleratorsUnreadable as error:
            _log.debug("%s", error)
            return
        answers = {address: len(found) for address, found in measured.items()}
        self.suspicion = self.suspicion.after(answers, inventory, self._now_s())

    async def run(self, inventory: Callable[[], Inventory]) -> None:
        """Never returns."""
        while True:
            await self.look(inventory())
            await asyncio.sleep(ASK_PERIOD_S)
