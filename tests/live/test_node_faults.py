"""Faults of nodes: two hosts with a replica on each, on a Ray that loses messages."""

import json
import shutil
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.live.aftermath import Fault, whole
from tests.live.fleet_under_test import MODEL, wait_for
from tests.live.hosted_fleet import HostedFleet
from tests.live.hosts import Hosts, missing
from tests.live.onlooker import COMPLETE

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(missing()), reason=missing() or "has what it needs"),
]

PORT = 18400
NETWORK = "10.81.0"
CUT = "200 cut, upstream_error"
#: Of each kind of call the first ones lose their request or their reply, half of them each.
LOSSES = json.dumps(
    {
        call: {"num_failures": 4, "req_failure_prob": 50, "resp_failure_prob": 50}
        for call in (
            "NodeManagerService.grpc_client.RequestWorkerLease",
            "CoreWorkerService.grpc_client.PushTask",
            "ray::rpc::ActorInfoGcsService.grpc_client.RegisterActor",
            "ray::rpc::ActorInfoGcsService.grpc_client.CreateActor",
            "NodeManagerService.grpc_client.PrepareBundleResources",
            "NodeManagerService.grpc_client.CommitBundleResources",
        )
    }
)
#: Many seconds of work, within the grace.
LONG_TOKENS = 900


def fleet_of(replicas: int) -> str:
    return f"""\
device: cpu
grace_s: 60
inventory: nodes.yaml
gateway: {{host: 0.0.0.0, port: {PORT}}}
models:
  twin:
    source: {MODEL}
    max_model_len: 1024
    replicas: {{min: {replicas}, max: {replicas}}}
    engine: {{dtype: float32, enforce_eager: true, kv_cache_memory_bytes: 16M, max_num_seqs: 16}}
"""


def nodes_of(*hosts: int) -> str:
    """An inventory of hosts that take one replica each."""
    listed = "\n".join(f"  - {{name: host-{n}, address: {NETWORK}.{n}}}" for n in hosts)
    counted = "accelerators: {kind: cpu, count: 1, memory_gib: 2.5}"
    return f"name: hosts\n{counted}\nnodes:\n{listed}\n"


@pytest.fixture(scope="module")
def fleet() -> Iterator[HostedFleet]:
    with Hosts(2, "fln", NETWORK) as hosts:
        fleet = HostedFleet(hosts, PORT, {"RAY_testing_rpc_failure": LOSSES})
        try:
            fleet.start_ray(1)
            fleet.start_ray(2)
            deploy(fleet, 1, 2)
            fleet.key = fleet.flotilla("keys", "create", "test").strip()
            wait_for(lambda: whole(fleet), "two replicas and four gateways")
            yield fleet
        finally:
            left = fleet.stop_ray()
            shutil.rmtree(fleet.home)
        assert left == []


def deploy(fleet: HostedFleet, *hosts: int) -> None:
    """A replica on each of these hosts."""
    (fleet.home / "nodes.yaml").write_text(nodes_of(*hosts))
    file = fleet.home / "fleet.yaml"
    file.write_text(fleet_of(len(hosts)))
    fleet.flotilla("deploy", str(file))


def nodes(fleet: HostedFleet) -> dict[str, str]:
    """The node of each replica that is ready."""
    return {r["stages"][0]: r["application"] for r in fleet.replicas() if r["state"] == "ready"}


def test_24_though_ray_loses_requests_and_replies_each_replica_starts_once(
    fleet: HostedFleet, fault: Fault
) -> None:
    starts = Counter(
        actor["class_name"]
        for actor in fleet.ray_state("actors")
        if actor["class_name"].startswith("ServeReplica:twin.")
    )
    assert starts == {"ServeReplica:twin.0:Replica": 1, "ServeReplica:twin.1:Replica": 1}
    assert set(nodes(fleet)) == {f"{NETWORK}.1", f"{NETWORK}.2"}
    assert {fault.ask("twin").kind for _ in range(10)} == {COMPLETE}


def test_20_a_planned_drain_of_a_node_costs_no_client_anything(
    fleet: HostedFleet, fault: Fault
) -> None:
    calls = [fault.call("twin", LONG_TOKENS) for _ in range(4)]
    for call in calls:
        call.events(3)
    fault.strikes()
    draining = threading.Thread(target=deploy, args=(fleet, 1))
    with fault.crowd("twin", clients=2):
        draining.start()
        assert {fault.ends(call).kind for call in calls} == {COMPLETE}
        draining.join(300)
    assert not draining.is_alive()
    fault.measured("drained after", fault.since_s, "s")
    assert set(fault.kinds) == {COMPLETE}
    assert set(nodes(fleet)) == {f"{NETWORK}.1"}


def test_19_a_node_whose_raylet_is_killed_loses_its_replica_until_it_is_back(
    fleet: HostedFleet, fault: Fault
) -> None:
    deploy(fleet, 1, 2)
    wait_for(lambda: len(nodes(fleet)) == 2 or None, "a replica on each host")
    first = nodes(fleet)[f"{NETWORK}.1"]
    kept = fleet.replica(first)["pid"]
    with fault.crowd("twin", 60, clients=4) as crowd:
        wait_for(lambda: len(crowd.answers) > 8 or None, "first answers")
        fault.strikes()
        fleet.kill_raylet(2)
        wait_for(lambda: set(nodes(fleet)) == {f"{NETWORK}.1"} or None, "the loss to be known")
        fault.measured("the loss was known after", fault.since_s, "s")
        seen = len(crowd.answers)
        wait_for(lambda: len(crowd.answers) > seen + 8 or None, "more answers")
    assert set(fault.kinds) <= {COMPLETE, CUT}
    assert fault.kinds[CUT] <= 2
    wait_for(lambda: "twin" in blocked(fleet) or None, "the plan to say what is missing", 120)
    fleet.forget(2)
    fleet.start_ray(2)
    wait_for(lambda: len(nodes(fleet)) == 2 or None, "the replica to be back", 420)
    assert fleet.replica(first)["pid"] == kept


def blocked(fleet: HostedFleet) -> str:
    """Why models have fewer replicas than they should."""
    return json.dumps(fleet.status()["scaling"]["why"])
