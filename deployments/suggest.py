"""What would make a blocked model fit. Pure but for the catalogue, which it asks who shares a
checkpoint.

Rules
1. Only what was tried is suggested: every change is planned again, whole, and kept when the model
   is placed and nothing else is blocked that was not before.
2. The smallest change comes first: settings, then shapes, then fewer replicas, then machines.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice, product
from typing import Any

from cluster.architecture import read_architecture
from cluster.errors import ArchitectureUnknown
from cluster.fit import Misfit
from cluster.inventory import Inventory, Node
from deployments.catalogue import entry
from deployments.cordon import NO_CORDON, Cordon
from deployments.fleet import Fleet
from deployments.model import Model, Served, Shared
from deployments.need import Facts, Need, need_of
from deployments.plan import Conditions, Plan, plan
from deployments.running import Running

#: Windows are suggested in steps that a person would write.
WINDOW_STEP_TOKENS = 1024
#: Below this no chat is useful.
MIN_WINDOW_TOKENS = 2048
MAX_MODELS = 8
MAX_MORE_NODES = 8
#: Plans to try: many of few replicas, few of many.
MAX_PLANNED_REPLICAS = 20_000
MIN_PLANS = 4
#: Sizes that divide the heads of every model we know; more than these nobody serves.
TENSORS = (1, 2, 4, 8)
PIPELINES = (1, 2, 4)
#: What every vLLM kernel for FP8 weights reads; the same as the catalogue's FP8 checkpoints.
FP8_WEIGHTS: Mapping[str, Any] = {
    "quant_method": "compressed-tensors",
    "format": "float-quantized",
    "ignore": ["lm_head"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 8, "type": "float", "strategy": "channel"},
            "input_activations": {
                "num_bits": 8,
                "type": "float",
                "strategy": "token",
                "dynamic": True,
            },
        }
    },
}


#: Of one model; what comes after these is no simpler.
MAX_CHANGES = 4


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A change that was tried."""

    model: str
    change: str

    def __str__(self) -> str:
        return f"{self.model}: {self.change}"


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a plan is made of."""

    fleet: Fleet
    inventory: Inventory
    facts: Mapping[str, Facts]
    running: Mapping[str, Running]
    cordon: Cordon = NO_CORDON

    def plan(self) -> Plan:
        conditions = Conditions(cordon=self.cordon)
        return plan(self.fleet, self.inventory, self.facts, self.running, conditions)

    def need(self, name: str) -> Need:
        return need_of(self.fleet, self.inventory, name, self.facts[name], self.cordon)

    def with_model(self, name: str, model: Model) -> "Situation":
        """The same with another model of this name."""
        models = {**self.fleet.models, name: model}
        return replace(self, fleet=self.fleet.model_copy(update={"models": models}))


#: What is changed, and how everything stands then.
Change = tuple[str, Situation]


def suggestions(situation: Situation, before: Plan) -> list[Suggestion]:
    """What would help, for each of the first blocked models."""
    names = list(dict.fromkeys(action.model for action in before.blocked))
    trial = _Trial(before)
    return [
        Suggestion(name, change)
        for name in names[:MAX_MODELS]
        for change in islice(_cures(situation, trial, name), MAX_CHANGES)
    ]


class _Trial:
    """Tries changes, as long as its budget lasts: on a large cluster a plan takes a second."""

    def __init__(self, before: Plan) -> None:
        self.before = before
        self._blocked = {action.model for action in before.blocked}
        self._plans = max(MIN_PLANS, MAX_PLANNED_REPLICAS // max(1, len(before.actions)))

    def helps(self, situation: Situation, name: str) -> bool:
        """Whether the model is placed then, and nothing is blocked that was not before."""
        if not self._plans:
            return False
        self._plans -= 1
        blocked = {action.model for action in situation.plan().blocked}
        return name not in blocked and blocked <= self._blocked


def _cures(situation: Situation, trial: _Trial, name: str) -> Iterator[str]:
    """Changes after which the model fits its nodes, each with what makes room for it if there is
    none.
    """
    need = trial.before.needs[name]
    has_hosts = bool(need.hosts or need.cordoned)
    fitting = [("", situation)] if has_hosts else _fitting(situation, trial.before, name)
    for change, changed in fitting:
        if change and trial.helps(changed, name):
            yield change
            continue
        for room, roomier in _roomier(changed, trial.before, name):
            if trial.helps(roomier, name):
                yield f"{change}, and {room}" if change else room
                break


def _fitting(situation: Situation, before: Plan, name: str) -> Iterator[Change]:
    """Changes of settings after which some node can hold it."""
    model = situation.fleet.served()[name]
    settings = chain(
        _smaller_window(situation, before, name, model),
        _fp8_kv(situation, name, model),
        _fp8_weights(situation, name),
    )
    shapes = _another_shape(situation, name, model)

    def has_hosts(change: Change) -> bool:
        return bool(change[1].need(name).hosts)

    return chain(filter(has_hosts, settings), islice(filter(has_hosts, shapes), 1))


def _roomier(situation: Situation, before: Plan, name: str) -> Iterator[Change]:
    """Changes that leave more accelerators for it."""
    yield from _shared(situation)
    yield from _fewer_replicas(situation, before, name)
    yield from _more_nodes(situation)


def _smaller_window(
    situation: Situation, before: Plan, name: str, model: Served
) -> Iterator[Change]:
    misfits = [each for each in before.needs[name].fits.values() if isinstance(each, Misfit)]
    longest = max((each.longest_context_tokens or 0 for each in misfits), default=0)
    window = longest // WINDOW_STEP_TOKENS * WINDOW_STEP_TOKENS
    if MIN_WINDOW_TOKENS <= window < model.max_model_len:
        smaller = model.model_copy(update={"max_model_len": window})
        yield (
            f"a window of {window:,} tokens: `max_model_len: {window}`",
            situation.with_model(name, smaller),
        )


def _fp8_kv(situation: Situation, name: str, model: Served) -> Iterator[Change]:
    if situation.fleet.device == "gpu" and "kv_cache_dtype" not in model.engine:
        engine = {**model.engine, "kv_cache_dtype": "fp8"}
        changed = model.model_copy(update={"engine": engine})
        yield (
            "an FP8 KV cache: `engine: {kv_cache_dtype: fp8}`",
            situation.with_model(name, changed),
        )


def _fp8_weights(situation: Situation, name: str) -> Iterator[Change]:
    facts = situation.facts[name]
    if situation.fleet.device != "gpu" or not facts.config or "quantization_config" in facts.config:
        return
    config = {**facts.config, "quantization_config": FP8_WEIGHTS}
    try:
        smaller = Facts(read_architecture(config), facts.origin, config)
    except ArchitectureUnknown:
        return  # of a class whose FP8 form nobody has counted
    facts_after = {**situation.facts, name: smaller}
    yield "an FP8 checkpoint of it as `source`", replace(situation, facts=facts_after)


def _another_shape(situation: Situation, name: str, model: Served) -> Iterator[Change]:
    """Those that models are cut into, the smallest first."""
    shapes = sorted(product(TENSORS, PIPELINES), key=lambda shape: (shape[0] * shape[1], shape[1]))
    for tensor, pipeline in shapes:
        if (tensor, pipeline) == (model.tensor, model.pipeline):
            continue
        changed = model.model_copy(update={"tensor": tensor, "pipeline": pipeline})
        text = f"another shape: `tensor: {tensor}, pipeline: {pipeline}`"
        yield text, situation.with_model(name, changed)


def _shared(situation: Situation) -> Iterator[Change]:
    """One deployment for two ids of one checkpoint."""
    served = situation.fleet.served()
    for name, model in served.items():
        known = entry(name)
        owner = served.get(known.same_checkpoint_as or "") if known else None
        if known is None or owner is None or owner.max_model_len < model.max_model_len:
            continue
        twin = str(known.same_checkpoint_as)
        kept = model.model_dump(include={"max_model_len", "fallback", "aliases", "created"})
        shared = Shared(replicas_of=twin, **kept)
        text = f"one deployment for two ids: `{name}: {{replicas_of: {twin}}}`"
        yield text, situation.with_model(name, shared)


def _fewer_replicas(situation: Situation, before: Plan, name: str) -> Iterator[Change]:
    model = situation.fleet.served()[name]
    fewer = model.replicas.min - sum(action.model == name for action in before.blocked)
    if fewer > 0:
        replicas = model.replicas.model_copy(update={"min": fewer})
        changed = model.model_copy(update={"replicas": replicas})
        yield f"fewer replicas: `replicas: {{min: {fewer}}}`", situation.with_model(name, changed)


def _more_nodes(situation: Situation) -> Iterator[Change]:
    """More nodes like the last one, the fewest first."""
    nodes = situation.inventory.nodes
    for more in range(1, MAX_MORE_NODES + 1):
        added = tuple(_like(nodes[-1], number) for number in range(1, more + 1))
        inventory = situation.inventory.model_copy(update={"nodes": (*nodes, *added)})
        larger = replace(situation, inventory=inventory)
        yield f"{more} more node{'s' if more > 1 else ''} like {nodes[-1].name}", larger


def _like(node: Node, number: int) -> Node:
    name = f"more-{number}"
    return node.model_copy(update={"name": name, "address": name})
