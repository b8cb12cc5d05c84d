"""The config of `ray up` for an inventory on this machine's disk."""

from pathlib import Path
from typing import Any

import yaml

from cluster.inventory import Inventory
from cluster.ray_up import Sources, obstacles, ray_up_config
from deployments.errors import InventoryInvalid
from deployments.inventory_file import load_inventory
from deployments.load import placed
from serving.keystore import home, secret_file

#: Of the Flotilla that runs here; the nodes get the same.
TREE = Path(__file__).parents[1]
HEADER = """\
# Made from {} by `flotilla render-cluster`; change that one, it goes to every machine.
#   RAY_UP_enable_autoscaler_v2=0 ray up THIS_FILE               start it, or what does not run
#   RAY_UP_enable_autoscaler_v2=0 ray up --no-restart THIS_FILE  add a worker
"""
TOKEN_NAME = "ray_token"  # noqa: S105 - a file's name


def sources(path: Path) -> Sources:
    """What is copied to the nodes; the cluster's token is made at first use."""
    token = home() / TOKEN_NAME
    secret_file(token)
    return Sources(str(TREE), str(path.absolute()), str(token))


def startable_inventory(path: Path) -> Inventory:
    """An inventory that `ray up` can start. Raises InventoryInvalid."""
    inventory = load_inventory(path)
    found = list(obstacles(inventory))
    if found:
        raise InventoryInvalid(placed(found, path))
    return inventory


def cluster_text(config: dict[str, Any], made_from: str) -> str:
    """The cluster file."""
    body = yaml.safe_dump(config, sort_keys=False, width=120)
    return HEADER.format(made_from) + body


def cluster_config(path: Path) -> dict[str, Any]:
    """The value of the cluster file. Raises InventoryInvalid."""
    return ray_up_config(startable_inventory(path), sources(path))
