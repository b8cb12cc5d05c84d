"""What the Controller knows of suspect nodes, for a plan made elsewhere. Decides nothing."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cluster.inventory import Inventory
from deployments.cordon import NO_CORDON, Cordon
from deployments.serve_control import Application, Status
from ops.control_client import ControlClient
from ops.errors import ControllerMissing
from serving.snapshot import Phase


async def cordon_now(
    applications: Mapping[str, Application], inventory: Inventory, folder: Path | None = None
) -> Cordon:
    """What is up on a suspect node may stay there. No cordon where no Controller answers: a deploy
    is what starts one. `folder` is Flotilla's own on the head.
    """
    try:
        async with ControlClient(folder) as controller:
            known = await controller.status()
    except ControllerMissing:
        return NO_CORDON
    up = {name for name, each in applications.items() if each.status is Status.RUNNING}
    why = dict(_suspects(known, inventory))
    return Cordon(why, frozenset(up.union(_ready(known))))


def _suspects(known: Mapping[str, Any], inventory: Inventory) -> Iterator[tuple[str, str]]:
    """The Controller goes by the inventory that it was told of: a node of which less is written now
    is as it should be.
    """
    suspects, answering = known.get("suspects", {}), known.get("answering", {})
    for node in inventory.nodes:
        count = inventory.accelerators_of(node).count
        if node.address in suspects and answering.get(node.address, 0) < count:
            yield node.address, suspects[node.address]


def _ready(known: Mapping[str, Any]) -> Iterator[str]:
    """The replicas that say they are, and said so lately."""
    silent = known.get("silent", ())
    for each in known.get("replicas", ()):
        if each["phase"] == Phase.READY and each["replica_id"] not in silent:
            yield each["application"]
