"""Takes a cluster down again: replicas finish, Ray ends on every machine, fences are lowered."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from cluster.bringup import Failure, Progress, Step
from cluster.errors import NodeFailed
from cluster.inventory import Machine
from cluster.node_fence import lower_fence
from cluster.node_install import drain, forget, stop, unmark_fenced
from cluster.remote import Remote
from ops.cluster import Cluster
from serving.keystore import home

#: Where `ray up` keeps what it thinks of a cluster.
RAY_UP_STATE = Path("/tmp/ray")  # noqa: S108 - Ray's own choice


async def take_down_cluster(
    cluster: Cluster, report: Callable[[Progress], None]
) -> Mapping[str, Failure]:
    """Ends the head first, whose autoscaler would start the workers again. Answers with the
    machines where something may be left.
    """
    failed: dict[str, Failure] = {}

    async def one(machine: Machine, work: Callable[[Remote], Awaitable[None]]) -> None:
        began_s = time.monotonic()
        report(Progress(machine.name, Step.STOP))
        try:
            await work(cluster.remote(machine))
        except NodeFailed as error:
            failed[machine.name] = Failure(Step.STOP, error.cause, error.fix)
        took_s = time.monotonic() - began_s
        report(Progress(machine.name, Step.STOP, took_s, failed.get(machine.name)))

    await one(cluster.head, _end_head)
    await asyncio.gather(*(one(worker, _end) for worker in cluster.inventory.workers()))
    _forget_here(cluster.inventory.name)
    return failed


async def _end_head(remote: Remote) -> None:
    await drain(remote)
    await _end(remote)


async def _end(remote: Remote) -> None:
    await stop(remote)
    await forget(remote)
    if await unmark_fenced(remote):
        await lower_fence(remote)


def _forget_here(name: str) -> None:
    """`ray up` would take what it wrote for a cluster that runs."""
    for end in ("state", "lock"):
        (RAY_UP_STATE / f"cluster-{name}.{end}").unlink(missing_ok=True)
    (home() / "cluster.yaml").unlink(missing_ok=True)
