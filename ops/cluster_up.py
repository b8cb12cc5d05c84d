"""Brings an inventory up as a cluster: what each step of bring-up does."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import yaml

from cluster.bringup import Failure, Progress, Step, Works, bring_up
from cluster.errors import InstallFailed, NodeFailed, NodeUnreachable
from cluster.examination import examine
from cluster.fence import fence_of
from cluster.inventory import Machine
from cluster.node_fence import raise_fence
from cluster.node_install import copy, install, mark_fenced, start, stop
from cluster.preflight import Report
from cluster.ray_up import Sources, ray_up_config
from cluster.ray_up_run import ray_up
from cluster.remote import Remote
from ops.cluster import Cluster
from ops.cluster_file import sources
from ops.errors import NodeInUse, OtherToken
from serving.keystore import home, write_private


async def bring_up_cluster(
    cluster: Cluster, report: Callable[[Progress], None]
) -> Mapping[str, Failure]:
    """From bare machines, or from what runs, to a cluster; answers with the machines that failed.
    Raises OpsError and ClusterError where nothing was begun.
    """
    await _adopt_token(cluster)
    gone = await _gone(cluster)
    if await cluster.is_fenced():
        # A new node would be shut out by those that stand.
        cluster = replace(cluster, fenced=True)
    failed = dict(await bring_up(cluster.inventory, _works(cluster), report))
    if cluster.head.name not in failed:
        alive = await cluster.alive() if gone else frozenset()
        for remote in gone:
            await _dismiss(remote, remote.address in alive, failed, report)
    return failed


async def _adopt_token(cluster: Cluster) -> None:
    """A cluster that was brought up from another machine has its token on the head. Raises
    OtherToken.
    """
    path = home() / "ray_token"
    here = path.read_text("utf-8").strip() if path.exists() else ""
    there = await cluster.token()
    if there and not here:
        write_private(path, there)
    elif there and there != here:
        raise OtherToken(cluster.head.name, path)


async def _gone(cluster: Cluster) -> list[Remote]:
    """The machines that the last bring-up had and this one does not. Raises NodeInUse."""
    before = await cluster.inventory_before()
    kept = {machine.address for machine in cluster.machines}
    gone = [node for node in (before.workers() if before else ()) if node.address not in kept]
    used = await cluster.used() if gone else {}
    for node in gone:
        if node.address in used:
            raise NodeInUse(node.name, used[node.address])
    return [Remote.of(before, node) for node in gone] if before else []


async def _dismiss(
    remote: Remote,
    is_member: bool,
    failed: dict[str, Failure],
    report: Callable[[Progress], None],
) -> None:
    """Ends Ray on a machine that is to be no part of the cluster. One that is none, and cannot be
    reached, has gone already.
    """
    began_s = time.monotonic()
    report(Progress(remote.name, Step.LEAVE))
    try:
        await stop(remote)
    except NodeFailed as error:
        if is_member or not isinstance(error, NodeUnreachable):
            failed[remote.name] = Failure(Step.LEAVE, error.cause, error.fix)
    took_s = time.monotonic() - began_s
    report(Progress(remote.name, Step.LEAVE, took_s, failed.get(remote.name)))


def _works(cluster: Cluster) -> Works:
    made_of = sources(cluster.path)
    fence = fence_of(cluster.inventory, [cluster.gateway_port]) if cluster.fenced else None
    examined = _Examined(cluster)

    async def check(machine: Machine) -> None:
        for found in (await examined.report(machine)).blocking:
            raise InstallFailed(machine.name, f"{found.name}: {found.text}", found.fix)

    async def installed(machine: Machine) -> None:
        await install(cluster.remote(machine), (await examined.report(machine)).python)

    async def fenced(machine: Machine) -> None:
        if fence is not None:
            await raise_fence(cluster.remote(machine), fence)
            await mark_fenced(cluster.remote(machine))

    return Works(
        check=check,
        copy=lambda machine: copy(cluster.remote(machine), made_of),
        install=installed,
        fence=fenced if cluster.fenced else None,
        start=lambda machine: _start_head(cluster, made_of),
        repair=lambda machine: start(cluster.remote(machine), restart=True),
        alive=cluster.alive,
    )


class _Examined:
    """One look at all machines, which each machine's check waits for."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._looking: asyncio.Task[dict[str, Report]] | None = None

    async def report(self, machine: Machine) -> Report:
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        return (await self._looking)[machine.name]

    async def _look(self) -> dict[str, Report]:
        reports = await examine(self._cluster.inventory, self._cluster.gateway_port)
        return {report.machine.name: report for report in reports}


async def _start_head(cluster: Cluster, made_of: Sources) -> None:
    """`ray up`; where it fails, the same start by our own login, whose words are clearer."""
    config = home() / "cluster.yaml"
    text = yaml.safe_dump(ray_up_config(cluster.inventory, made_of), sort_keys=False)
    await asyncio.to_thread(write_private, config, text)
    try:
        await ray_up(config, home() / "ray-up.log", cluster.head.name)
    except InstallFailed:
        await start(cluster.remote(cluster.head))
        raise
