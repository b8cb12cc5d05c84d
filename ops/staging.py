"""Which checkpoints go to which nodes of an inventory, and how they get there."""

from collections.abc import Sequence
from pathlib import Path

from cluster.checking.check import Check, fail
from cluster.checking.models import NAME, models
from cluster.errors import StagingFailed
from cluster.inventory import Inventory
from cluster.pushing import Origin, push
from cluster.staging import Found, Report, Result, Target, everywhere, stage, staged
from deployments.fleet import Fleet
from deployments.weights import sources, sources_on
from ops.errors import WeightsFailed


def wanted(fleet: Fleet, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The checkpoints of these models of the fleet, or of all. Raises WeightsFailed."""
    try:
        found = sources(fleet, names)
    except KeyError as unknown:
        raise WeightsFailed(
            f"{unknown.args[0]} is no model of the fleet that has weights: "
            f"{', '.join(fleet.served())} are"
        ) from None
    if not found:
        raise WeightsFailed("the fleet names its checkpoints by path: there is nothing to bring")
    return found


def targets(fleet: Fleet, inventory: Inventory, names: Sequence[str]) -> list[Target]:
    """Every node that may hold one of the models. Raises WeightsFailed."""
    checkpoints = wanted(fleet, names)
    found = [
        Target.of(inventory, node, sources_on(fleet, node, checkpoints)) for node in inventory.nodes
    ]
    return [target for target in found if target.sources]


async def stage_everywhere(
    chosen: Sequence[Target], origin: Path | None, report: Report
) -> list[Result]:
    """Nodes that have the shared root read from it; to the others it is pushed from `origin`.
    Raises CheckpointUnreadable where there is nothing to push.
    """
    pushed_from = Origin.of(origin) if origin else None

    async def work(target: Target) -> Sequence[Result]:
        if target.storage.shared is not None:
            return await stage(target, report)
        if pushed_from is None:
            fix = "name a root on this machine to push from, `--from DIR`"
            raise StagingFailed(target.remote.name, "it has no `storage.shared` to read from", fix)
        return await push(target, pushed_from, report)

    return await everywhere(chosen, work)


async def check_everywhere(
    chosen: Sequence[Target], report: Report, *, is_full: bool
) -> dict[str, Check]:
    """A verdict on what each node has."""
    found: dict[str, list[Found]] = {}

    async def look(target: Target) -> Sequence[Result]:
        found[target.remote.name] = await staged(target, is_full=is_full, report=report)
        return ()

    failed = {
        each.node: fail(NAME, each.cause, each.fix) for each in await everywhere(chosen, look)
    }
    local = {each.remote.name: each.storage.local for each in chosen if each.storage.local}
    checkpoints = list(dict.fromkeys(source for each in chosen for source in each.sources))
    verdicts = {**models(checkpoints, found, local), **failed}
    return {each.remote.name: verdicts[each.remote.name] for each in chosen}
