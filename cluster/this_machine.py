"""This machine as an inventory of one node: what a fleet without an inventory is planned on."""

import re
import shutil
import subprocess

from cluster.accelerator import CPU_KIND, GIB
from cluster.errors import PrerequisiteMissing
from cluster.inventory import Accelerators, Inventory, Node
from cluster.local import NODE_ADDRESS
from cluster.machine import SLOT_BYTES, slots_of_this_machine

NAME = "this-machine"
QUERY = ("--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
QUERY_DEADLINE_S = 20.0


def inventory_of_this_machine(device: str, slots: int | None = None) -> Inventory:
    """One node with this machine's GPUs, or with `slots` (what its memory carries, without a
    number). Raises PrerequisiteMissing.
    """
    found = _gpus() if device == "gpu" else _slots(slots or slots_of_this_machine())
    node = Node(name=NAME, address=NODE_ADDRESS, accelerators=found)
    return Inventory(name=NAME, nodes=(node,))


def _slots(count: int) -> Accelerators:
    return Accelerators(kind=CPU_KIND, count=count, memory_gib=SLOT_BYTES / GIB)


def _gpus() -> Accelerators:
    """What the driver lists; GPUs of different sizes count as the smallest."""
    command = shutil.which("nvidia-smi")
    if command is None:
        raise PrerequisiteMissing(
            "this machine has no NVIDIA driver: name the cluster's nodes with `--inventory FILE`, "
            "or take `--device cpu`"
        )
    listed = _listed(command)
    if not listed:
        raise PrerequisiteMissing("nvidia-smi lists no GPU: see what it says by itself")
    name, mebibytes = min(listed, key=lambda gpu: gpu[1])
    return Accelerators(kind=_slug(name), count=len(listed), memory_gib=mebibytes / 1024)


def _listed(command: str) -> list[tuple[str, int]]:
    """Name and MiB of each GPU."""
    try:
        done = subprocess.run(  # noqa: S603 - the driver's own tool
            [command, *QUERY],
            capture_output=True,
            text=True,
            timeout=QUERY_DEADLINE_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise PrerequisiteMissing(f"nvidia-smi does not work here: {error}") from error
    found = re.findall(r"^(.+), (\d+)$", done.stdout, re.MULTILINE)
    return [(name, int(mebibytes)) for name, mebibytes in found]


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
