"""How Ray is started on one machine of an inventory. Pure: values in, a command and an environment
out; plain `ray up`, `flotilla up` and a node's own service all end here.

Rules
1. Everything that Ray's processes inherit stands in the environment: actors, engines and their
   workers get it from there, on every node its own.
2. Token authentication is on, always. The dashboard, which runs jobs, listens on loopback.
3. Ports that others must know are fixed; the rest are Ray's and the system's choice.
4. A machine offers what the inventory says, not what Ray detects: a head that is a machine of its
   own offers no accelerators.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cluster.accelerator import CPU_KIND
from cluster.head_recovery import environment_of_head, environment_of_node
from cluster.inventory import Inventory, Machine, Node
from cluster.label import ADDRESS_LABEL

GCS_PORT = 6379
DASHBOARD_PORT = 8265
AGENT_PORT = 52365
LOOPBACK = "127.0.0.1"
#: Requests never pass through Ray's object store; this is its smallest sensible size.
OBJECT_STORE_BYTES = 100 * 1024 * 1024
#: What a head that comes back is told by, in the machine's folder of Flotilla's directory.
STATE = "gcs"
#: Kinds that come with InfiniBand on a 1-Click Cluster, where `mlx5_0` is no rail.
FABRIC_KINDS = ("h100-sxm-80gb", "h200-141gb", "b200-180gb")
RAILS = "^mlx5_0"


@dataclass(frozen=True, slots=True)
class Place:
    """What is known on the machine itself."""

    #: `ray` of the install that is to run.
    ray: str
    #: Flotilla's own directory, where the token is.
    home: str
    #: That carries the machine's address.
    interface: str


def ray_environment(inventory: Inventory, home: str) -> dict[str, str]:
    """What a process on the head needs to talk to the cluster. Raises ValueError without a head."""
    return {
        **_common(home),
        "RAY_ADDRESS": f"{_head(inventory).address}:{GCS_PORT}",
        "RAY_DASHBOARD_ADDRESS": f"http://{LOOPBACK}:{DASHBOARD_PORT}",
    }


def start_environment(inventory: Inventory, machine: Machine, place: Place) -> dict[str, str]:
    """What `ray start` and all that it starts inherit."""
    environment = {
        **_common(place.home),
        **_recovery(inventory, machine, place.home),
        "VLLM_HOST_IP": machine.address,
        "NCCL_SOCKET_IFNAME": place.interface,
        "GLOO_SOCKET_IFNAME": place.interface,
        "VLLM_NO_USAGE_STATS": "1",
        # Serving never needs the internet; what is missing is said, not waited for.
        "HF_HUB_OFFLINE": "1",
    }
    if isinstance(machine, Node):
        if inventory.accelerators_of(machine).kind in FABRIC_KINDS:
            environment["NCCL_IB_HCA"] = RAILS
        if local := inventory.storage_of(machine).local:
            environment["VLLM_CACHE_ROOT"] = f"{local}/.vllm-cache"
    return environment


def start_command(
    inventory: Inventory, machine: Machine, place: Place, autoscaling_config: str = ""
) -> list[str]:
    """The `ray start` of this machine, which stays in the foreground."""
    head = _head(inventory)
    common = [place.ray, "start", "--block", "--disable-usage-stats"]
    common += ["--node-ip-address", machine.address]
    common += ["--object-store-memory", str(OBJECT_STORE_BYTES), "--include-log-monitor", "false"]
    common += ["--labels", ",".join(f"{key}={value}" for key, value in _labels(machine))]
    common += _offer(inventory, machine)
    if machine.name != head.name:
        return [*common, "--address", f"{head.address}:{GCS_PORT}"]
    common += ["--head", "--port", str(GCS_PORT), "--include-dashboard", "true"]
    common += ["--dashboard-host", LOOPBACK, "--dashboard-port", str(DASHBOARD_PORT)]
    return [*common, *(["--autoscaling-config", autoscaling_config] if autoscaling_config else [])]


def _head(inventory: Inventory) -> Machine:
    head = inventory.head_machine()
    if head is None:
        raise ValueError("the inventory names no head")
    return head


def _common(home: str) -> dict[str, str]:
    return {
        "FLOTILLA_HOME": home,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": f"{home}/ray_token",
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def _recovery(inventory: Inventory, machine: Machine, home: str) -> dict[str, str]:
    if machine.name != _head(inventory).name:
        return environment_of_node()
    return environment_of_head(f"{home}/nodes/{machine.name}/{STATE}")


def _labels(machine: Machine) -> Iterator[tuple[str, str]]:
    yield ADDRESS_LABEL, machine.address
    if isinstance(machine, Node):
        yield from sorted(machine.labels.items())


def _offer(inventory: Inventory, machine: Machine) -> list[str]:
    """Accelerators, by the name that a replica's stages ask for them by."""
    if not isinstance(machine, Node):
        return ["--num-gpus", "0"]
    found = inventory.accelerators_of(machine)
    if found.kind == CPU_KIND:
        return ["--num-gpus", "0", "--resources", json.dumps({"slot": found.count})]
    return ["--num-gpus", str(found.count)]


def machine_at(inventory: Inventory, addresses: Mapping[str, str]) -> tuple[Machine, str] | None:
    """The machine of the inventory that has one of `addresses` (interfaces by address), and the
    interface; None when none has.
    """
    head = inventory.head_machine()
    machines = [*([head] if head else []), *inventory.workers()]
    for machine in machines:
        if machine.address in addresses:
            return machine, inventory.interface_of(machine) or addresses[machine.address]
    return None
