"""The replicas as they are shown: what Serve says of the application, and what it says itself.
Pure.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.shape import Shape
from deployments.apply import trimmed
from deployments.running import running_of
from deployments.serve_control import Application
from ops.dashboard.facts import Facts
from ops.dashboard.view.health import Health, health_of
from ops.fleet_status import fleet_status
from serving.snapshot import Load

#: It says it is ready, and has said nothing for seconds.
SILENT = "silent"
NO_LOAD = Load()


@dataclass(frozen=True, slots=True)
class ReplicaView:
    #: Its application, `<model>.<n>`.
    name: str
    model: str
    #: Of this start; empty before its first word.
    replica_id: str
    state: str
    health: Health
    why: str
    shape: Shape
    #: Node address of every stage, leader first: where it is, or where it is to be.
    stages: tuple[str, ...]
    load: Load
    #: As gateways count them.
    in_flight: int
    left_out_by: int

    @property
    def is_ready(self) -> bool:
        return self.health is Health.WELL


def replicas(facts: Facts) -> tuple[ReplicaView, ...]:
    """In the order of their names."""
    applications = facts.applications
    shapes = {name: each.shape for name, each in running_of(_configs(applications)).items()}
    rows = fleet_status(applications, facts.controller)["replicas"]
    seen = _Seen(facts.controller)
    made = (_replica(row, applications[row["application"]], seen, shapes) for row in rows)
    return tuple(sorted(made, key=lambda each: each.name))


class _Seen:
    """The Controller's status by what is looked up in it."""

    def __init__(self, controller: Mapping[str, Any]) -> None:
        self.reports = {each["application"]: each for each in controller.get("replicas", ())}
        self.silent = frozenset(controller.get("silent", ()))
        gateways = controller.get("gateways", ())
        self.left_out = Counter(each for gateway in gateways for each in gateway["left_out"])
        self.in_flight: Counter[str] = Counter()
        for gateway in gateways:
            self.in_flight.update(dict(gateway["in_flight"]))


def _replica(
    row: Mapping[str, Any], application: Application, seen: _Seen, shapes: Mapping[str, Shape]
) -> ReplicaView:
    report = seen.reports.get(application.name, {})
    replica_id = str(report.get("replica_id", ""))
    is_silent = replica_id in seen.silent and row["state"] == "ready"
    state = SILENT if is_silent else str(row["state"])
    left_out_by = seen.left_out[replica_id]
    return ReplicaView(
        name=application.name,
        model=application.name.rpartition(".")[0],
        replica_id=replica_id,
        state=state,
        health=Health.ILL if left_out_by else health_of(state),
        why=_why(state, application, left_out_by),
        shape=shapes.get(application.name, Shape()),
        stages=tuple(row["stages"] or row["planned"]),
        load=Load(**row["load"]) if row["load"] else NO_LOAD,
        in_flight=seen.in_flight[replica_id],
        left_out_by=left_out_by,
    )


def _why(state: str, application: Application, left_out_by: int) -> str:
    """What is wrong with it; empty when nothing is."""
    if application.status != "RUNNING":
        return trimmed(application.cause())
    if state == SILENT:
        return "it has said nothing for seconds: its process or its node may be gone"
    return f"left out by {left_out_by} gateways: it failed their requests" if left_out_by else ""


def _configs(applications: Mapping[str, Application]) -> dict[str, Mapping[str, Any]]:
    return {name: each.config or {} for name, each in applications.items()}
