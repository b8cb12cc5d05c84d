"""Hosts with a replica on each: for faults of nodes and of what lies between them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.live.aftermath import whole
from tests.live.fleet_under_test import MODEL, wait_for
from tests.live.hosted_fleet import HostedFleet, hosted_fleet
from tests.live.hosts import Hosts

PORT = 18400
NETWORK = "10.81.0"


@contextmanager
def one_on_each(count: int, settings: Mapping[str, str] | None = None) -> Iterator[HostedFleet]:
    """A fleet of so many hosts, with all replicas and gateways, on a Ray with these settings."""
    with Hosts(count, "fln", NETWORK) as hosts, hosted_fleet(hosts, PORT, settings) as fleet:
        deploy(fleet, *hosts.numbers)
        fleet.key = fleet.flotilla("keys", "create", "test").strip()
        wait_for(lambda: whole(fleet), "a replica and two gateways on each host")
        yield fleet


def deploy(fleet: HostedFleet, *hosts: int) -> None:
    """A replica on each of these hosts."""
    (fleet.home / "nodes.yaml").write_text(_nodes_of(*hosts))
    file = fleet.home / "fleet.yaml"
    file.write_text(_fleet_of(len(hosts)))
    fleet.flotilla("deploy", str(file))


def address(number: int) -> str:
    return f"{NETWORK}.{number}"


def ready(fleet: HostedFleet) -> dict[str, str]:
    """The replicas that are ready, by the address of their node."""
    return {r["stages"][0]: r["application"] for r in fleet.replicas() if r["state"] == "ready"}


def _fleet_of(replicas: int) -> str:
    return f"""\
device: cpu
grace_s: 90
inventory: nodes.yaml
gateway: {{host: 0.0.0.0, port: {PORT}}}
models:
  twin:
    source: {MODEL}
    max_model_len: 1024
    replicas: {{min: {replicas}, max: {replicas}}}
    engine: {{dtype: float32, enforce_eager: true, kv_cache_memory_bytes: 16M, max_num_seqs: 16}}
"""


def _nodes_of(*hosts: int) -> str:
    """An inventory of hosts that take one replica each."""
    listed = "\n".join(f"  - {{name: host-{n}, address: {address(n)}}}" for n in hosts)
    counted = "accelerators: {kind: cpu, count: 1, memory_gib: 2.5}"
    return f"name: hosts\n{counted}\nnodes:\n{listed}\n"
