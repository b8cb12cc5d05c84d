"""An inventory that bring-up works on: its machines, and what it looks up on its head."""

import json
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import NodeFailed
from cluster.fence import fence_problems
from cluster.inventory import Inventory, Machine
from cluster.node_install import fence_mark
from cluster.ray_up import FLOTILLA, INVENTORY_FILE, TOKEN_FILE
from cluster.remote import Remote
from deployments.errors import InventoryInvalid
from deployments.inventory_file import parse_inventory
from deployments.load import placed
from ops.cluster_file import startable_inventory

LOOK_DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """The inventory, its file, and what is asked for besides."""

    inventory: Inventory
    path: Path
    gateway_port: int
    fenced: bool = False

    @classmethod
    def read(cls, path: Path, gateway_port: int, *, fenced: bool = False) -> "Cluster":
        """Raises InventoryInvalid."""
        inventory = startable_inventory(path)
        found = list(fence_problems(inventory)) if fenced else []
        if found:
            raise InventoryInvalid(placed(found, path))
        return cls(inventory, path, gateway_port, fenced)

    @property
    def head(self) -> Machine:
        head = self.inventory.head_machine()
        if head is None:
            raise ValueError(f"{self.inventory.name} has no head")
        return head

    @property
    def machines(self) -> tuple[Machine, ...]:
        return (self.head, *self.inventory.workers())

    def remote(self, machine: Machine) -> Remote:
        return Remote.of(self.inventory, machine)

    async def alive(self) -> frozenset[str]:
        """The addresses that the head sees; none when it cannot be asked right now."""
        try:
            found = json.loads(await self._on_head(f"{FLOTILLA} ray nodes --json"))
            return frozenset(str(node["address"]) for node in found if node["alive"])
        except (NodeFailed, ValueError, KeyError, TypeError):
            return frozenset()

    async def token(self) -> str:
        """The head's; empty where it has none, or cannot be asked."""
        try:
            return (await self._on_head(f"cat {TOKEN_FILE}")).strip()
        except NodeFailed:
            return ""

    async def inventory_before(self) -> Inventory | None:
        """The one that the head was brought up with; None for a new head."""
        try:
            found = await self._on_head(f"cat {INVENTORY_FILE}")
            return parse_inventory(found.encode(), INVENTORY_FILE) if found else None
        except (NodeFailed, InventoryInvalid):
            return None

    async def is_fenced(self) -> bool:
        """Whether the last bring-up has raised a fence."""
        try:
            return bool(await self._on_head(f"ls {fence_mark(self.head.name)}"))
        except NodeFailed:
            return False

    async def used(self) -> dict[str, str]:
        """Addresses of nodes that a replica runs on, or is planned on, each with one of them."""
        try:
            replicas = json.loads(await self._on_head(f"{FLOTILLA} status --json"))["replicas"]
            return {
                address: replica["application"]
                for replica in replicas
                for address in (*replica["stages"], *replica["planned"])
            }
        except (NodeFailed, ValueError, KeyError, TypeError):
            return {}

    async def _on_head(self, command: str) -> str:
        return (await self.remote(self.head).run(command, timeout_s=LOOK_DEADLINE_S)).stdout
