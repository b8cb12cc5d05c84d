"""What nodes of a made-up cluster say of themselves when all is well."""

import json
from typing import Any

from cluster.accelerator import GIB
from cluster.checking.check import Check, Seen, Wanted
from cluster.inventory import Inventory
from cluster.node_facts import Facts
from cluster.preflight import machines

GATEWAY_PORT = 8000
INVENTORY: dict[str, Any] = {
    "name": "test",
    "head": {"name": "head-1", "address": "10.0.0.9"},
    "accelerators": {"kind": "h100-sxm-80gb", "count": 8},
    "storage": {"local": "/nvme", "shared": "/nfs"},
    "nodes": [{"name": f"n{at}", "address": f"10.0.0.{at}"} for at in (1, 2, 3)],
}
FOLDER = {
    "exists": True,
    "writable": True,
    "free_bytes": 9000 * GIB,
    "kind": "xfs",
    "source": "/dev/nvme0n1",
    "inode": 128,
    "filesystem_id": 77,
}
SHARED = {**FOLDER, "kind": "nfs4", "source": "10.0.1.1:/data", "filesystem_id": 0}


def inventory(**changes: Any) -> Inventory:
    return Inventory.model_validate({**INVENTORY, **changes})


def cpu_inventory() -> Inventory:
    return inventory(accelerators={"kind": "cpu", "count": 4, "memory_gib": 2.5}, storage={})


def answer(address: str) -> dict[str, Any]:
    """A GPU node's facts before they are read."""
    return {
        "system": {
            "user": "ubuntu",
            "os": "Ubuntu 22.04.5 LTS",
            "memory_bytes": 1800 * GIB,
            "available_bytes": 1700 * GIB,
            "shared_memory_free_bytes": 900 * GIB,
            "home_free_bytes": 100 * GIB,
            "files": 1 << 20,
            "processes": -1,
            "locked_bytes": -1,
        },
        "sudo": "",
        "pythons": [
            {"command": "python3", "version": "3.10.12", "venv": True},
            {"command": "python3.12", "version": "3.12.3", "venv": True},
        ],
        "install": {
            "python": "3.12.3",
            "packages": {
                "ray": "2.60.0",
                "vllm": "0.32.0",
                "torch": "2.13.0",
                "starlette": "1.10.0",
            },
        },
        "gpus": {
            "driver": "580.95.05",
            "cuda": "13.0",
            "cards": [{"name": "NVIDIA H100 80GB HBM3", "memory_mib": 81559}] * 8,
            "processes": [],
        },
        "rails": [
            {"name": f"mlx5_{at}", "active": at > 0, "gigabits_per_s": 400.0} for at in range(9)
        ],
        "local_disk": FOLDER,
        "shared_disk": SHARED,
        "network": {
            "interfaces": [
                {"name": "lo", "mtu": 65536, "addresses": ["127.0.0.1"]},
                {"name": "eno1", "mtu": 9000, "addresses": [address]},
            ],
            "to_head": "eno1",
            "has_address": True,
            "given_ports": [32768, 60999],
        },
        "listeners": [{"address": "::", "port": 22, "program": "", "ours": False}],
        "unread": {},
        "clock_s": 1.8e9,
    }


def seen(
    node: str = "n1", *, of: Inventory | None = None, skew_s: float = 0.0, **changes: Any
) -> Seen:
    """A node that has answered. `part={...}` changes what stands in a part that is an object, other
    values take the part's place.
    """
    found = of or inventory()
    machine = next(each for each in machines(found) if each.name == node)
    said = answer(machine.address)
    for name, change in changes.items():
        is_inner = isinstance(change, dict) and isinstance(said[name], dict)
        said[name] = {**said[name], **change} if is_inner else change
    return Seen(
        found, machine, Facts.model_validate_json(json.dumps(said)), skew_s, Wanted(GATEWAY_PORT)
    )


def named(checks: tuple[Check, ...] | list[Check], name: str) -> Check:
    """The one check of this name."""
    (found,) = [check for check in checks if check.name == name]
    return found
