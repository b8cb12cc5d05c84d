"""What happened to a fleet, one event at a time, found by comparing two sights of it. Pure: the
sights and the clock in, events out.

Rules
- An event is said once, by what it changes: who came, went, or is treated otherwise than before.
- A replica's new start under the same application is the end of the one before, whatever that said.
- Where nobody knows the nodes there is no news of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from deployments.fleet import Fleet
from serving.snapshot import GatewayReport, Phase, ReplicaReport


class Kind(StrEnum):
    """What an event is about."""

    CONTROLLER = "controller"
    DEPLOY = "deploy"
    SCALING = "scaling"
    PLACEMENT = "placement"
    REPLICA = "replica"
    EJECTION = "ejection"
    QUARANTINE = "quarantine"
    GATEWAY = "gateway"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class Event:
    """One line for an operator."""

    #: Wall clock, seconds.
    at_s: float
    kind: Kind
    #: The replica, model, gateway or node that it happened to.
    subject: str
    #: What happened, and why where that is known.
    text: str


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known at one moment."""

    replicas: tuple[ReplicaReport, ...] = ()
    gateways: tuple[GatewayReport, ...] = ()
    #: Addresses of those that live; None when nobody knows.
    nodes: frozenset[str] | None = None
    #: Requests that replicas died with and that are refused.
    quarantined: int = 0
    #: What is wrong with each node that is suspect, by its address.
    suspects: Mapping[str, str] = field(default_factory=dict)


def events_between(before: Sight, after: Sight, now_s: float) -> Iterator[Event]:
    """What must have happened in between."""
    for kind, subject, text in _changes(before, after):
        yield Event(now_s, kind, subject, text)


_Change = tuple[Kind, str, str]


def _changes(before: Sight, after: Sight) -> Iterator[_Change]:
    yield from _nodes(before.nodes, after.nodes)
    yield from _suspects(before.suspects, after.suspects)
    yield from _gateways(before.gateways, after.gateways)
    yield from _replicas(before.replicas, after.replicas)
    yield from _ejections(before, after)
    if after.quarantined > before.quarantined:
        count = after.quarantined - before.quarantined
        text = f"{count} more refused: replicas died with it" if count > 1 else _REFUSED
        yield Kind.QUARANTINE, "request", text


_REFUSED = "refused from now on: replicas died with it"


def _nodes(before: frozenset[str] | None, after: frozenset[str] | None) -> Iterator[_Change]:
    if before is None or after is None:
        return
    for node in sorted(after - before):
        yield Kind.NODE, node, "joined"
    for node in sorted(before - after):
        yield Kind.NODE, node, "is gone"


def _suspects(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[_Change]:
    for node, what in sorted(after.items()):
        if before.get(node) != what:
            yield Kind.NODE, node, f"is {what}; nothing starts there"
    for node in sorted(before.keys() - after.keys()):
        yield Kind.NODE, node, "is no longer suspect"


def _gateways(
    before: tuple[GatewayReport, ...], after: tuple[GatewayReport, ...]
) -> Iterator[_Change]:
    old, new = ({each.gateway_id: each for each in reports} for reports in (before, after))
    for name in sorted(new.keys() - old.keys()):
        yield Kind.GATEWAY, name, f"listens on {new[name].node}, {new[name].address}"
    for name in sorted(old.keys() - new.keys()):
        yield Kind.GATEWAY, name, f"is gone from {old[name].node}"


def _replicas(
    before: tuple[ReplicaReport, ...], after: tuple[ReplicaReport, ...]
) -> Iterator[_Change]:
    old, new = ({each.application: each for each in reports} for reports in (before, after))
    for name in sorted(old.keys() | new.keys()):
        text = _replica(old.get(name), new.get(name))
        if text is not None:
            yield Kind.REPLICA, name, text


def _replica(before: ReplicaReport | None, after: ReplicaReport | None) -> str | None:
    if after is None:
        return None if before is None else _ended(before)
    if before is None or before.replica_id != after.replica_id:
        again = "" if before is None else f"{_ended(before)}; "
        return f"{again}is {after.phase} on {' '.join(after.stages)}, pid {after.pid}"
    if before.phase is after.phase:
        return None
    if after.phase is Phase.DRAINING:
        return f"drains: {after.load.running} running"
    return f"is {after.phase}"


def _ended(replica: ReplicaReport) -> str:
    if replica.phase is Phase.DRAINING:
        return "stopped, drained"
    return f"pid {replica.pid} went without a drain: it died, or was killed"


def _ejections(before: Sight, after: Sight) -> Iterator[_Change]:
    old, new = _left_out(before), _left_out(after)
    for replica, gateway in sorted(new - old):
        yield Kind.EJECTION, replica, f"{gateway} leaves it out, since it fails there"
    for replica, gateway in sorted(old - new):
        yield Kind.EJECTION, replica, f"{gateway} leaves it out no more"


def _left_out(sight: Sight) -> set[tuple[str, str]]:
    return {
        (replica.partition("#")[0], gateway.gateway_id)
        for gateway in sight.gateways
        for replica in gateway.left_out
    }


def told_of(before: Fleet | None, after: Fleet) -> str | None:
    """What a deploy changes for clients; None when it changes no model."""
    old = {} if before is None else dict(before.models)
    new = dict(after.models)
    changed = [name for name in new if name in old and old[name] != new[name]]
    parts = {
        "adds": [name for name in new if name not in old],
        "changes": changed,
        "removes": [name for name in old if name not in new],
    }
    said = [f"{verb} {' '.join(names)}" for verb, names in parts.items() if names]
    return "; ".join(said) or None
