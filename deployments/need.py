"""What each model of a fleet needs of a node, and which nodes have it. Pure.

Rules
1. A model is held only by nodes on whose accelerators it fits, that carry the labels it asks for,
   and whose accelerators are what the fleet is for.
2. A node inside a cordon holds nothing but what is there already.
3. Where nobody knows a model's config.json its memory is not checked: it may go anywhere else, and
   its need says so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.accelerator import GIB, Accelerator
from cluster.architecture import Architecture
from cluster.fit import EngineSettings, Fit, Misfit, Shape, engine_settings, fit
from cluster.inventory import Inventory, Node
from cluster.placement import Ask
from deployments.cordon import NO_CORDON, Cordon
from deployments.fleet import Fleet
from deployments.model import Served, Shared
from serving.replica.spec import Device

#: What files may hold beyond the formula: padding, and tensors that are not loaded.
UNCOUNTED_SHARE = 1.05


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model's checkpoint."""

    #: None where nobody knows it.
    architecture: Architecture | None
    #: Where it is from; without an architecture, why there is none.
    origin: str
    #: The config.json as it was read.
    config: Mapping[str, Any] = field(default_factory=dict)
    #: Of all tensors in the checkpoint's files; None where they are not reachable.
    stored_bytes: int | None = None
    #: The files are there and cannot be read: no engine would start from them.
    is_broken: bool = False


@dataclass(frozen=True, slots=True)
class Need:
    """A model on an inventory."""

    model: str
    #: The ids that its replicas serve besides.
    also: tuple[str, ...]
    shape: Shape
    settings: EngineSettings
    replicas: int
    is_spread: bool
    facts: Facts
    #: What it gets of each kind of accelerator that the inventory has; empty when not checked.
    fits: Mapping[Accelerator, Fit | Misfit]
    #: The nodes that can hold a stage of it.
    hosts: frozenset[str]
    #: Why those that could take nothing new, by node.
    cordoned: Mapping[str, str]
    #: Why a node is no host, each reason once.
    refusals: tuple[str, ...]

    @property
    def is_heavier_than_counted(self) -> bool:
        """Whether the files hold more than the formula knows of; then it is not to be trusted."""
        if self.fit is None or self.facts.stored_bytes is None:
            return False
        counted = sum(stage.weight_bytes * self.shape.tensor for stage in self.fit.stages)
        return self.facts.stored_bytes > counted * UNCOUNTED_SHARE

    def ask(
        self,
        replica: str,
        current: tuple[str, ...] = (),
        priority: int = 0,
        *,
        may_stay: bool = False,
    ) -> Ask:
        """What one replica of it asks of the placement; `may_stay` where it is, cordoned or not."""
        inside = self.cordoned.keys() & current
        return Ask(
            replica=replica,
            model=self.model,
            tensor=self.shape.tensor,
            pipeline=self.shape.pipeline,
            spread=self.is_spread,
            nodes=self.hosts,
            current=current,
            may_stay=may_stay and bool(inside) and self.hosts.issuperset({*current} - inside),
            priority=priority,
        )

    def could_hold(self, node: str) -> bool:
        """Whether it may be there, if only because it is already."""
        return node in self.hosts or node in self.cordoned

    def why_unplaced(self, why: str) -> str:
        """With what the placement says; "" where it was not asked, since there is no host."""
        return "; ".join([why, *_cordoned(self.cordoned)] if why else self.refusals)

    def arithmetic(self) -> str:
        """How a replica fills its accelerators."""
        fit = self.fit
        if fit is None:
            return "memory not checked"
        weights, reserve, cache = (
            f"{size / GIB:.1f}" for size in (fit.weight_bytes, fit.reserve_bytes, fit.kv_bytes)
        )
        return f"{weights} GiB weights + {reserve} engine + {cache} KV cache on each accelerator"

    @property
    def fit(self) -> Fit | None:
        """What a replica gets: of the accelerator with the most memory on which it fits."""
        found = [(at.memory_bytes, f) for at, f in self.fits.items() if isinstance(f, Fit)]
        return max(found, key=lambda each: each[0])[1] if found else None


def needs_of(
    fleet: Fleet, inventory: Inventory, facts: Mapping[str, Facts], cordon: Cordon = NO_CORDON
) -> dict[str, Need]:
    """The need of every model with replicas of its own, in the order of the fleet."""
    return {name: need_of(fleet, inventory, name, facts[name], cordon) for name in fleet.served()}


def need_of(
    fleet: Fleet, inventory: Inventory, name: str, facts: Facts, cordon: Cordon = NO_CORDON
) -> Need:
    """The need of one model."""
    model = fleet.served()[name]
    shape = Shape(model.tensor, model.pipeline)
    settings = engine_settings(model.max_model_len, model.engine)
    fits = {
        each: fit(facts.architecture, shape, settings, each)
        for each in _offered(fleet, inventory)
        if facts.architecture is not None
    }
    why = {
        node.name: [*_broken(facts), *_why_not(inventory, node, model, fleet.device, fits)]
        for node in inventory.nodes
    }
    able = [node for node in inventory.nodes if not why[node.name]]
    cordoned = {node.name: cordon.why[node.address] for node in able if node.address in cordon.why}
    refusals = [reason for reasons in why.values() for reason in reasons]
    refusals += _cordoned(cordoned)
    return Need(
        model=name,
        also=_also(fleet, name),
        shape=shape,
        settings=settings,
        replicas=model.replicas.min,
        is_spread=model.stage_placement == "spread",
        facts=facts,
        fits=fits,
        hosts=frozenset(node.name for node in able if node.name not in cordoned),
        cordoned=cordoned,
        refusals=tuple(dict.fromkeys(refusals)),
    )


def _offered(fleet: Fleet, inventory: Inventory) -> list[Accelerator]:
    """Each kind of accelerator that the fleet is for."""
    kinds = dict.fromkeys(_accelerator(inventory, node) for node in inventory.nodes)
    return [each for each in kinds if each.is_cpu == (fleet.device == "cpu")]


def _also(fleet: Fleet, name: str) -> tuple[str, ...]:
    models = fleet.models.items()
    return tuple(o for o, m in models if isinstance(m, Shared) and m.replicas_of == name)


def _accelerator(inventory: Inventory, node: Node) -> Accelerator:
    found = inventory.accelerators_of(node).each()
    if found is None:
        raise ValueError(f"the memory of {node.name}'s accelerators is unknown")
    return found


def _why_not(
    inventory: Inventory,
    node: Node,
    model: Served,
    device: Device,
    fits: Mapping[Accelerator, Fit | Misfit],
) -> list[str]:
    each, count = _accelerator(inventory, node), inventory.accelerators_of(node).count
    if each.is_cpu != (device == "cpu"):
        return [f"{node.name} has {each.kind} accelerators, and the fleet's device is {device}"]
    return [*_labels(node, model), *_too_few(each, count, model), *_misfit(each, fits)]


def _cordoned(why: Mapping[str, str]) -> list[str]:
    return [f"{node} is {reason}" for node, reason in why.items()]


def _broken(facts: Facts) -> Iterator[str]:
    if facts.is_broken:
        yield facts.origin


def _labels(node: Node, model: Served) -> Iterator[str]:
    for key, value in model.node_labels.items():
        if node.labels.get(key) != value:
            yield f"{node.name} is not labelled {key}={value}"


def _too_few(each: Accelerator, count: int, model: Served) -> Iterator[str]:
    if model.tensor > count:
        yield f"a stage takes {model.tensor} accelerators of a node; {each.kind} nodes have {count}"


def _misfit(each: Accelerator, fits: Mapping[Accelerator, Fit | Misfit]) -> Iterator[str]:
    found = fits.get(each)
    if isinstance(found, Misfit):
        yield from (f"{each.kind}: {reason}" for reason in found.reasons)
