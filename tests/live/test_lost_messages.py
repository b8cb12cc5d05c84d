"""A Ray that loses messages between its own processes.

Of each kind of call on the way to a replica every process loses the first request and the reply to
the next: the second has been done and nobody was told. What is pushed to a worker is left out: Ray
repeats it only as often as whoever submitted it has said, and Serve has said never.
"""

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.live.aftermath import Fault
from tests.live.hosted_fleet import HostedFleet
from tests.live.hosts import missing
from tests.live.one_on_each import one_on_each
from tests.live.onlooker import COMPLETE

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(missing()), reason=missing() or "has what it needs"),
]

CALLS = (
    "NodeManagerService.grpc_client.RequestWorkerLease",
    "NodeManagerService.grpc_client.PrepareBundleResources",
    "NodeManagerService.grpc_client.CommitBundleResources",
    "ray::rpc::ActorInfoGcsService.grpc_client.RegisterActor",
    "ray::rpc::ActorInfoGcsService.grpc_client.CreateActor",
)
LOSSES = {
    "num_failures": 2,
    "req_failure_prob": 0,
    "resp_failure_prob": 0,
    "num_lower_bound_req_failures": 1,
    "num_lower_bound_resp_failures": 1,
}


@pytest.fixture(scope="module")
def fleet() -> Iterator[HostedFleet]:
    losing = {"RAY_testing_rpc_failure": json.dumps(dict.fromkeys(CALLS, LOSSES))}
    with one_on_each(1, losing) as made:
        yield made


def test_24_though_ray_loses_requests_and_replies_a_replica_starts_once(
    fleet: HostedFleet, fault: Fault
) -> None:
    lost = [losses(fleet, call) for call in CALLS]
    assert all(count >= LOSSES["num_failures"] for count in lost)
    fault.measured("messages lost", sum(lost), "")
    starts = Counter(
        actor["class_name"]
        for actor in fleet.ray_state("actors")
        if actor["class_name"].startswith("ServeReplica:twin.")
    )
    assert starts == {"ServeReplica:twin.0:Replica": 1}
    assert {fault.ask("twin").kind for _ in range(10)} == {COMPLETE}


def losses(fleet: HostedFleet, call: str) -> int:
    """How often Ray's processes have written that they lost a message of this call."""
    logs = (fleet.home / "ray" / "session_latest" / "logs").iterdir()
    texts = (log.read_text(errors="replace") for log in logs if log.is_file())
    return sum(text.count(f"failure for {call}") for text in texts)
