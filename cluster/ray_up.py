"""An inventory as the config of a plain `ray up`. Pure: the same inventory gives the same text.

`ray up` sets up the head and starts Ray there; the autoscaler that it starts there does the same on
the workers, by ssh from the head. Both end in `flotilla ray start`, which knows each machine from
the inventory, so nothing in this config differs from node to node.
"""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cluster.inventory import Inventory, Machine
from cluster.login import DEFAULT_PORT
from cluster.problem import Problem

#: Where Flotilla lives on every machine.
INSTALL = "~/flotilla"
#: Flotilla's own directory there.
HOME = "~/.flotilla"
INVENTORY_FILE = f"{HOME}/inventory.yaml"
TOKEN_FILE = f"{HOME}/ray_token"
FLOTILLA = f"{INSTALL}/.venv/bin/flotilla"
INSTALL_COMMAND = f"{INSTALL}/ops/install/install.sh"
#: The user's shell finds `ray`, `serve` and `flotilla` there; `ray down` and `ray exec` need it.
BIN = "~/.local/bin"
LINK_COMMAND = (
    f"mkdir -p {BIN} && ln -sf {INSTALL}/.venv/bin/ray {INSTALL}/.venv/bin/serve {FLOTILLA} {BIN}/"
)
START_COMMAND = f"{FLOTILLA} ray start {INVENTORY_FILE}"
#: Where `ray up` puts what its head needs to know.
BOOTSTRAP = "~/ray_bootstrap_config.yaml"
#: What a node needs of the tree. Not the tree itself: `ray up` reads all of a folder that it
#: mounts, what is left out of the copy too, and an install beside it has gigabytes.
PARTS = ("pyproject.toml", "README.md", "cluster", "serving", "deployments", "ops")
#: Made anew on each machine.
NOT_COPIED = ("__pycache__", "*.egg-info")
NO_HEAD = "names no `head`, which the workers join: add `head: NAME` or `head: {name, address}`"


@dataclass(frozen=True, slots=True)
class Sources:
    """What is copied to every machine, by absolute path here."""

    tree: str
    inventory: str
    token: str


def ray_up_config(inventory: Inventory, sources: Sources) -> dict[str, Any]:
    """The value of the YAML file. Raises ValueError where `obstacles` finds something."""
    found = next(obstacles(inventory), None)
    head = inventory.head_machine()
    if found is not None or head is None:
        raise ValueError(str(found))
    return {
        "cluster_name": inventory.name,
        "provider": {
            "type": "local",
            "head_ip": head.address,
            "worker_ips": [worker.address for worker in inventory.workers()],
        },
        "auth": _auth(inventory),
        # The head's autoscaler starts all workers at once, not a few more each time.
        "upscaling_speed": max(1.0, float(len(inventory.nodes))),
        "file_mounts": {
            **{f"{INSTALL}/{part}": f"{sources.tree}/{part}" for part in PARTS},
            INVENTORY_FILE: sources.inventory,
            TOKEN_FILE: sources.token,
        },
        "rsync_exclude": list(NOT_COPIED),
        "setup_commands": [INSTALL_COMMAND, LINK_COMMAND],
        "head_start_ray_commands": [f"{START_COMMAND} --autoscaling-config={BOOTSTRAP}"],
        "worker_start_ray_commands": [START_COMMAND],
    }


def obstacles(inventory: Inventory) -> Iterator[Problem]:
    """What `ray up` has no words for."""
    if inventory.head is None:
        yield Problem((), NO_HEAD)
    for at, machine in _machines(inventory):
        yield from _own_login(inventory, at, machine)


def _machines(inventory: Inventory) -> Iterator[tuple[tuple[str | int, ...], Machine]]:
    if isinstance(inventory.head, Machine):
        yield ("head",), inventory.head
    for index, node in enumerate(inventory.nodes):
        yield ("nodes", index), node


def _own_login(
    inventory: Inventory, at: tuple[str | int, ...], machine: Machine
) -> Iterator[Problem]:
    login = inventory.ssh_of(machine)
    if login.user != inventory.ssh.user:
        yield Problem((*at, "ssh", "user"), "`ray up` knows one user for all machines")
    if login.port != DEFAULT_PORT:
        fix = "say it in ~/.ssh/config, here and on the head"
        yield Problem((*at, "ssh", "port"), f"`ray up` knows port 22 only: {fix}")


def _auth(inventory: Inventory) -> Mapping[str, str]:
    auth = {"ssh_user": inventory.ssh.user}
    if inventory.ssh.key:
        auth["ssh_private_key"] = posixpath.normpath(inventory.ssh.key)
    return auth
