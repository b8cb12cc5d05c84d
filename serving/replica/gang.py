"""Brings the stages of one replica together and knows when one is lost.

Rules
1. One bundle of the replica's placement group is one stage, with all of its accelerators; the
   leader is in bundle 0, follower i in bundle i. A tensor-parallel group therefore never spans
   nodes.
2. A gang is whole or gone: a follower that ends, for whatever reason, ends the gang.
3. The leader owns the followers: when it dies Ray ends them, so no stage outlives its gang.
4. Every wait has a deadline; a follower that never joins fails the start, it does not hang it.
"""

import asyncio
from typing import Any

import ray
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from serving.replica.engine import Rendezvous
from serving.replica.errors import GangFailed
from serving.replica.follower import FollowerActor
from serving.replica.network import free_port, node_address
from serving.replica.spec import ReplicaSpec

#: A follower's process starts in seconds; its bundle is reserved before the leader runs.
JOIN_DEADLINE_S = 120.0


class Gang:
    """The followers of a leader; empty for a replica of one stage."""

    def __init__(self, followers: list[Any], addresses: tuple[str, ...]) -> None:
        self._followers = followers
        self._runs: list[asyncio.Future[str]] = []
        #: Node address of each stage, leader first.
        self.addresses = addresses

    @classmethod
    async def form(cls, spec: ReplicaSpec) -> "Gang":
        """Starts a follower in each further bundle. Raises GangFailed."""
        followers = [_start_follower(spec, stage) for stage in range(1, spec.pipeline)]
        try:
            async with asyncio.timeout(JOIN_DEADLINE_S):
                joined = [str(await follower.address.remote()) for follower in followers]
        except TimeoutError as late:
            raise GangFailed(
                f"a stage of {spec.application} did not join within {JOIN_DEADLINE_S:.0f} s"
            ) from late
        except ray.exceptions.RayActorError as lost:
            raise GangFailed(f"a stage of {spec.application} died while it joined") from lost
        return cls(followers, (node_address(), *joined))

    def run(self) -> Rendezvous:
        """Sends every follower to the meeting point and returns the leader's place there."""
        stages, leader = len(self.addresses), self.addresses[0]
        port = free_port(leader)
        for rank, follower in enumerate(self._followers, start=1):
            reference = follower.run.remote(Rendezvous(stages, rank, leader, port))
            self._runs.append(asyncio.ensure_future(_ended(reference, rank)))
        return Rendezvous(stages, 0, leader, port)

    async def lost(self) -> str:
        """Waits until a stage is lost and says which; for a gang of one, for ever."""
        if not self._runs:
            await asyncio.Event().wait()
        done, _ = await asyncio.wait(self._runs, return_when=asyncio.FIRST_COMPLETED)
        return next(iter(done)).result()

    def release(self) -> None:
        """Ends the followers."""
        for run in self._runs:
            run.cancel()
        for follower in self._followers:
            ray.kill(follower)


def _start_follower(spec: ReplicaSpec, stage: int) -> Any:
    strategy = PlacementGroupSchedulingStrategy(
        ray.util.get_current_placement_group(), placement_group_bundle_index=stage
    )
    resources = spec.stage_resources()
    return FollowerActor.options(
        num_cpus=0,
        num_gpus=resources.pop("GPU", 0),
        resources=resources,
        scheduling_strategy=strategy,
    ).remote(spec)


async def _ended(reference: Any, rank: int) -> str:
    try:
        await reference
    except ray.exceptions.RayError as error:
        cause = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        return f"stage {rank} was lost: {cause}"
    return f"a worker of stage {rank} died"
