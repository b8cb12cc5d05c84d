"""The cluster as a map: a row of accelerators for each node, and which stage of which replica sits
where. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from deployments.node_agents import Measured
from ops.dashboard.facts import Facts
from ops.dashboard.view.health import Health
from ops.dashboard.view.replica import ReplicaView
from ops.plan_view import MARKS

N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True)
class Slot:
    """An accelerator that a stage holds."""

    replica: str
    #: The model's letter.
    mark: str
    #: From 1.
    stage: int
    stages: int
    health: Health


@dataclass(frozen=True, slots=True)
class NodeView:
    name: str
    address: str
    #: Of its accelerators; empty where nobody has said.
    kind: str
    #: None where nobody knows.
    is_alive: bool | None
    #: One for each accelerator; None is free.
    slots: tuple[Slot | None, ...]
    #: What is known of its accelerators, in the order of their numbers there.
    measured: tuple[Measured, ...] = ()
    #: What is wrong with it, where it is suspect.
    suspicion: str = ""

    @property
    def free(self) -> int:
        return self.slots.count(None)

    @property
    def hottest_c(self) -> int | None:
        """None where nobody knows, as below."""
        return max(_known(each.temperature_c for each in self.measured), default=None)

    @property
    def memory_used_bytes(self) -> int | None:
        return _sum(each.memory_used_bytes for each in self.measured)

    @property
    def memory_total_bytes(self) -> int | None:
        return _sum(each.memory_total_bytes for each in self.measured)

    @property
    def utilisation(self) -> float | None:
        """On average."""
        known = _known(each.utilisation for each in self.measured)
        return sum(known) / len(known) if known else None


@dataclass(frozen=True, slots=True)
class ClusterView:
    nodes: tuple[NodeView, ...]
    #: Letter and model.
    legend: tuple[tuple[str, str], ...]

    @property
    def total(self) -> int:
        return sum(len(node.slots) for node in self.nodes)

    @property
    def free(self) -> int:
        return sum(node.free for node in self.nodes)


def _known(values: Iterable[N | None]) -> list[N]:
    return [value for value in values if value is not None]


def _sum(values: Iterable[int | None]) -> int | None:
    known = _known(values)
    return sum(known) if known else None


def cluster(facts: Facts, replicas: Iterable[ReplicaView]) -> ClusterView:
    """Without an inventory, the nodes that were heard of, with what is in use there."""
    replicas = tuple(replicas)
    models = sorted({each.model for each in replicas})
    marks = {model: MARKS[at % len(MARKS)] for at, model in enumerate(models)}
    held = _held(replicas, marks)
    nodes = tuple(_described(facts, held) if facts.deployed else _heard_of(facts, held))
    return ClusterView(nodes, tuple((mark, model) for model, mark in marks.items()))


def _held(replicas: Iterable[ReplicaView], marks: Mapping[str, str]) -> dict[str, tuple[Slot, ...]]:
    """The accelerators in use by the address of their node; a stage has `tensor` of them."""
    held: dict[str, tuple[Slot, ...]] = {}
    for each in replicas:
        for number, address in enumerate(each.stages, start=1):
            mark = marks[each.model]
            slot = Slot(each.name, mark, number, len(each.stages), each.health)
            held[address] = held.get(address, ()) + (slot,) * each.shape.tensor
    return held


def _described(facts: Facts, held: Mapping[str, tuple[Slot, ...]]) -> Iterator[NodeView]:
    if facts.deployed is None:
        return
    inventory, live = facts.deployed.inventory, facts.controller.get("live")
    for node in inventory.nodes:
        accelerators = inventory.accelerators_of(node)
        slots = held.get(node.address, ())
        free = (None,) * (accelerators.count - len(slots))
        is_alive = None if live is None else node.address in live
        yield NodeView(
            name=node.name,
            address=node.address,
            kind=str(accelerators.kind),
            is_alive=is_alive,
            slots=(*slots, *free),
            measured=facts.measured.get(node.address, ()),
            suspicion=facts.controller.get("suspects", {}).get(node.address, ""),
        )


def _heard_of(facts: Facts, held: Mapping[str, tuple[Slot, ...]]) -> Iterator[NodeView]:
    gateways = [str(each["node"]) for each in facts.controller.get("gateways", ())]
    live = facts.controller.get("live")
    for address in sorted({*held, *gateways, *(live or ())}):
        is_alive = None if live is None else address in live
        measured = facts.measured.get(address, ())
        yield NodeView(address, address, "", is_alive, held.get(address, ()), measured)
