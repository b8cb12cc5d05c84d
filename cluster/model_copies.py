"""Looks on every node for the checkpoints of a fleet, and has what is there judged."""

from collections.abc import Sequence

from cluster.checking.check import fail
from cluster.checking.models import NAME, models
from cluster.inventory import Inventory, Node
from cluster.preflight import Report
from cluster.staging import Found, Result, Target, everywhere, staged


async def with_models(
    inventory: Inventory, reports: Sequence[Report], sources: Sequence[str]
) -> tuple[Report, ...]:
    """The reports, each with a verdict on its node's checkpoints (`organisation/name`), by their
    manifests and sizes. Raises PrerequisiteMissing.
    """
    found: dict[str, list[Found]] = {}

    async def look(target: Target) -> Sequence[Result]:
        found[target.remote.name] = await staged(target)
        return ()

    nodes = [each.machine for each in reports if each.answered and isinstance(each.machine, Node)]
    rooted = [node for node in nodes if inventory.storage_of(node).roots()]
    targets = [Target.of(inventory, node, tuple(sources)) for node in rooted]
    failed = {
        each.node: fail(NAME, each.cause, each.fix) for each in await everywhere(targets, look)
    }
    local = {node.name: root for node in rooted if (root := inventory.storage_of(node).local)}
    checks = {**models(sources, found, local), **failed}
    return tuple(
        report.adding(checks[report.machine.name]) if report.machine.name in checks else report
        for report in reports
    )
