"""What `flotilla up` and `flotilla down` do with an inventory: progress on stderr, the result on
stdout, status 1 when a machine failed.
"""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import click

from cluster.bringup import Failure
from deployments.ledger.notes import Note
from deployments.lock import alone
from ops.cluster import Cluster
from ops.cluster_down import take_down_cluster
from ops.cluster_up import bring_up_cluster
from ops.commands.node_lines import NodeLines
from ops.ledger_client import noted


def up_cluster(path: Path, gateway_port: int, *, fenced: bool, as_json: bool) -> None:
    """Raises SystemExit when a machine is not part of the cluster."""
    cluster = Cluster.read(path, gateway_port, fenced=fenced)
    with alone(), noted("up", path) as note, NodeLines() as lines:
        failed = asyncio.run(bring_up_cluster(cluster, lines.report))
        _note(note, cluster, failed, "up")
    _tell(cluster, failed, "up", as_json=as_json)
    if not failed and not as_json:
        click.echo(f"on {cluster.head.name}: flotilla deploy FLEET")


def down_cluster(path: Path, *, as_json: bool) -> None:
    """Raises SystemExit when something may be left on a machine."""
    cluster = Cluster.read(path, 0)
    with alone(), noted("down", path) as note, NodeLines() as lines:
        failed = asyncio.run(take_down_cluster(cluster, lines.report))
        _note(note, cluster, failed, "down")
    _tell(cluster, failed, "down", as_json=as_json)


def _note(note: Note, cluster: Cluster, failed: Mapping[str, Failure], well: str) -> None:
    """For the audit."""
    note.steps += [f"{well} {each.name}" for each in cluster.machines if each.name not in failed]
    if failed:
        note.outcome = f"failed: {', '.join(failed)}"


def _tell(cluster: Cluster, failed: Mapping[str, Failure], well: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_as_json(cluster, failed, well), indent=2))
    else:
        count = len(cluster.machines) - sum(m.name in failed for m in cluster.machines)
        click.echo(f"{cluster.inventory.name}: {count} of {len(cluster.machines)} machines {well}")
    if failed:
        raise SystemExit(1)


def _as_json(cluster: Cluster, failed: Mapping[str, Failure], well: str) -> dict[str, object]:
    return {
        "cluster": cluster.inventory.name,
        "head": cluster.head.name,
        "machines": [
            {
                "name": machine.name,
                "address": machine.address,
                "state": "failed" if machine.name in failed else well,
                **_failure(failed.get(machine.name)),
            }
            for machine in cluster.machines
        ],
    }


def _failure(failure: Failure | None) -> dict[str, str]:
    if failure is None:
        return {}
    return {"step": failure.step.value, "cause": failure.cause, "fix": failure.fix}
