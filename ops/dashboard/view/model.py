"""The models as clients ask for them, with how busy their replicas are and why there are so many.
Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deployments.figures import ModelFigures, SetFigures, of_set
from ops.dashboard.facts import Facts
from ops.dashboard.view.health import Health, worst
from ops.dashboard.view.replica import ReplicaView
from ops.fleet_status import fleet_status


@dataclass(frozen=True, slots=True)
class ModelView:
    name: str
    #: The model whose replicas answer; its own name unless it shares them.
    replica_set: str
    window_tokens: int
    aliases: tuple[str, ...]
    fallback: str
    #: Why it is only listed; empty when it is served.
    unavailable: str
    health: Health
    ready: int
    #: None where nobody keeps their number.
    desired: int | None
    why: str
    running: int
    waiting: int
    #: Mean share of the ready replicas.
    kv_use: float
    #: Requests that wait in gateways.
    queued: int
    tokens_per_s: float
    #: What its clients saw lately; None before its first request.
    figures: ModelFigures | None


def models(facts: Facts, replicas: Iterable[ReplicaView]) -> tuple[ModelView, ...]:
    """In the order of the fleet."""
    by_set: dict[str, list[ReplicaView]] = {}
    for each in replicas:
        by_set.setdefault(each.model, []).append(each)
    told = _Told(facts.controller)
    rows = fleet_status(facts.applications, facts.controller)["models"]
    return tuple(_model(row, by_set.get(row["replica_set"], []), told) for row in rows)


class _Told:
    """The Controller's status by what is looked up in it."""

    def __init__(self, controller: Mapping[str, Any]) -> None:
        scaling = controller.get("scaling") or {}
        self.counts: Mapping[str, int] = scaling.get("counts", {})
        self.why: Mapping[str, str] = scaling.get("why", {})
        sets = controller.get("replica_sets", ())
        self.sets = {each["replica_set"]: SetFigures(**each) for each in sets}
        rows = controller.get("models", ())
        self.figures = {each["model"]: ModelFigures(**each) for each in rows}


def _model(row: Mapping[str, Any], replicas: list[ReplicaView], told: "_Told") -> ModelView:
    replica_set = row["replica_set"]
    ready = [each for each in replicas if each.is_ready]
    desired = told.counts.get(replica_set)
    figures = told.sets.get(replica_set) or of_set(replica_set, (), 0)
    return ModelView(
        name=row["name"],
        replica_set=replica_set,
        window_tokens=row["window_tokens"],
        aliases=tuple(row["aliases"]),
        fallback=row["fallback"] or "",
        unavailable=row["unavailable"] or "",
        health=Health.WELL if row["unavailable"] else _health(replicas, len(ready), desired),
        ready=len(ready),
        desired=desired,
        why=told.why.get(replica_set, ""),
        running=figures.running,
        waiting=figures.waiting,
        kv_use=figures.kv_use,
        queued=figures.queued,
        tokens_per_s=figures.tokens_per_s,
        figures=told.figures.get(row["name"]),
    )


def _health(replicas: list[ReplicaView], ready: int, desired: int | None) -> Health:
    """Nobody answers: ill. Some do: their worst, but not worse than busy while one is ready."""
    if not ready:
        is_asleep = not replicas and desired == 0
        is_coming = any(each.health is Health.BUSY for each in replicas)
        return Health.WELL if is_asleep else Health.BUSY if is_coming else Health.ILL
    is_short = desired is not None and ready < desired
    worse = worst(each.health for each in replicas) is not Health.WELL
    return Health.BUSY if is_short or worse else Health.WELL
