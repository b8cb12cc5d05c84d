"""What keeps a fleet in step as long as it is the Controller's: the autoscaler's loop, the watch of
the nodes' accelerators, and the connections that both need. Decides nothing.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cluster.inventory import Inventory
from deployments.accelerator_watch import AcceleratorWatch
from deployments.autoscaler import Autoscaler, Senses
from deployments.deployed import Deployed
from deployments.event import Kind
from deployments.facts import facts_of
from deployments.need import Facts
from deployments.node_agents import NodeAgents
from deployments.observation import Reports
from deployments.ray_nodes import node_watch
from deployments.serve_control import ServeControl
from deployments.suspect import Suspicion
from serving.snapshot import Outlook


class Upkeep:
    """Begins as it is made, on the running loop, and goes on until `end`."""

    def __init__(
        self,
        deployed: Deployed,
        path: Path,
        reports: Callable[[], Reports],
        tell: Callable[[tuple[Outlook, ...]], None],
        note: Callable[[Kind, str, str], None],
    ) -> None:
        """`path` is where what is remembered is kept."""
        self._control = ServeControl()
        self._agents = NodeAgents()
        self._accelerators = AcceleratorWatch(self._agents, time.monotonic)
        senses = Senses(
            control=self._control,
            reports=reports,
            live=node_watch().live_addresses,
            suspects=lambda: self.suspicion.suspects,
            facts=_facts,
            now_s=time.time,
        )
        self.autoscaler = Autoscaler(deployed, path, senses, tell, note)
        self._tasks = (
            asyncio.create_task(self.autoscaler.run()),
            asyncio.create_task(self._accelerators.run(self._inventory)),
        )

    @property
    def has_stopped(self) -> bool:
        """Whether a part of it has, though nobody ended it."""
        return any(task.done() for task in self._tasks)

    @property
    def live(self) -> frozenset[str] | None:
        """The addresses of the nodes that live; None while nobody knows."""
        return self.autoscaler.senses.live()

    @property
    def suspicion(self) -> Suspicion:
        """What is known of the nodes' accelerators."""
        return self._accelerators.suspicion

    def _inventory(self) -> Inventory:
        return self.autoscaler.deployed.inventory

    async def end(self) -> None:
        """Nothing of it is left afterwards."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._agents.close()
        await self._control.close()


def _facts(deployed: Deployed) -> Mapping[str, Facts]:
    return facts_of(deployed.fleet, deployed.inventory)
