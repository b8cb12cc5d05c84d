"""What is wrong, in one line and then one by one: the first thing that is read. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from ops.dashboard.facts import Facts
from ops.dashboard.view.cluster import ClusterView
from ops.dashboard.view.health import Health
from ops.dashboard.view.model import ModelView
from ops.dashboard.view.replica import ReplicaView
from ops.fleet_status import blocks

#: More is no reading for five seconds.
MOST_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Verdict:
    health: Health
    headline: str
    #: The worst first.
    reasons: tuple[str, ...]


def verdict(
    facts: Facts,
    cluster: ClusterView,
    models: tuple[ModelView, ...],
    replicas: tuple[ReplicaView, ...],
) -> Verdict:
    ill = [*facts.problems, *_ill(cluster, models, replicas)]
    busy = [*_busy(models, replicas), *_fleet_wide(facts)]
    reasons = tuple([*ill, *busy][:MOST_SHOWN])
    if ill:
        return Verdict(Health.ILL, "Something is wrong", reasons)
    if busy:
        return Verdict(Health.BUSY, "All requests are served, and something is changing", reasons)
    served = [model for model in models if not model.unavailable]
    return Verdict(Health.WELL, f"All is well: {len(served)} models are served", ())


def _ill(
    cluster: ClusterView, models: tuple[ModelView, ...], replicas: tuple[ReplicaView, ...]
) -> Iterator[str]:
    for node in cluster.nodes:
        if node.is_alive is False:
            yield f"node {node.name} ({node.address}) is gone"
        elif node.suspicion:
            yield f"node {node.name} ({node.address}) is {node.suspicion}; nothing starts there"
    for model in models:
        if model.health is Health.ILL:
            yield f"{model.name}: no replica answers"
    for each in replicas:
        if each.health is Health.ILL:
            yield f"{each.name} is {each.state}{f': {each.why}' if each.why else ''}"


def _busy(models: tuple[ModelView, ...], replicas: tuple[ReplicaView, ...]) -> Iterator[str]:
    for each in replicas:
        if each.health is Health.BUSY:
            yield f"{each.name} is {each.state}"
    for model in models:
        if model.desired is not None and 0 < model.ready < model.desired:
            yield f"{model.name}: {model.ready} of {model.desired} replicas are ready"


def _fleet_wide(facts: Facts) -> Iterator[str]:
    """What the whole fleet is held up by, and requests that kill."""
    why = (facts.controller.get("scaling") or {}).get("why", {}).get("", "")
    if why:
        yield why
    yield from blocks(facts.controller)
    count = facts.controller.get("quarantined", 0)
    if count:
        yield f"{count} requests that replicas died with are refused now"
