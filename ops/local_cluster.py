"""Points this process at the cluster of this machine: the one that `flotilla up` made of it alone,
or the one whose head it is.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.local import LocalRay
from cluster.ray_session import head_environment
from serving.keystore import home

if TYPE_CHECKING:
    from cluster.inventory import Inventory
    from serving.replica.spec import Device

#: Of the cluster that this machine is part of; bring-up puts it there.
INVENTORY_NAME = "inventory.yaml"


def adopt_local_cluster() -> None:
    """Lets this process find that cluster, unless it was told of another."""
    for name, value in _environment(home()).items():
        os.environ.setdefault(name, value)


def local_inventory(device: "Device") -> "Inventory | None":
    """The nodes of that cluster; None where there is none. Raises InventoryInvalid."""
    from cluster.this_machine import inventory_of_this_machine
    from deployments.inventory_file import load_inventory

    ray = LocalRay.started_in(home())
    if ray is not None:
        return inventory_of_this_machine(device, ray.slots)
    path = home() / INVENTORY_NAME
    return load_inventory(path) if head_environment(home()) and path.exists() else None


def _environment(home: Path) -> dict[str, str]:
    ray = LocalRay.started_in(home)
    return ray.environment() if ray else head_environment(home)
