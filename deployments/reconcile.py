"""One look at what runs and what is asked of it: the next config for Serve, if any. Pure.

Rules
1. What should run is the plan for the counts that are remembered, on the nodes that live. While
   something is still to do for it, that is done, a step at a time; only then is demand looked at.
2. A step that needs accelerators which a stopping replica still holds waits for them.
3. A replica beyond its model's `min` that does not come up is taken away; one within is started
   again. Both after a pause that grows with each failure in a row.
4. On a suspect node nothing is started: what is up there stays, what is not goes elsewhere.
5. Where Serve was told of another fleet than ours, somebody else is deploying: nothing is done.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cluster.inventory import Inventory
from deployments.autoscale import Change, Demands, autoscale
from deployments.cordon import Cordon
from deployments.counts import Counts
from deployments.deployed import Deployed
from deployments.held import Capacity, fits, held
from deployments.need import Facts
from deployments.plan import Conditions, plan
from deployments.pool import pool_of
from deployments.render import ingress_application, render
from deployments.running import running_of
from deployments.scaling_state import ScalingState
from deployments.steps import Action, Applications, Step, steps
from deployments.terms import terms_of
from serving.snapshot import INGRESS_APPLICATION

#: Who is deployed by somebody else right now.
ANOTHER_FLEET = "Serve was told of another fleet: a deploy is at work, or was given up"


@dataclass(frozen=True, slots=True)
class Observed:
    """What Serve says of its applications, Ray of its nodes, and gateways of their clients."""

    #: What each was last given; those that stop are not among them.
    configs: Applications
    #: Those that stop, with the config they had.
    stopping: Applications = field(default_factory=dict)
    #: Replicas that run, and that did not come up.
    up: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    #: The addresses of the nodes that live; None when nobody knows.
    live: frozenset[str] | None = None
    demands: Demands = field(default_factory=dict)
    #: What is wrong with each node that is not to be trusted, by its address.
    suspects: Mapping[str, str] = field(default_factory=dict)
    #: Replicas that say they are ready: Serve may not have noticed yet that one is up.
    ready: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Memory:
    """What is kept from look to look."""

    scaling: ScalingState = field(default_factory=ScalingState)
    #: Replicas that were chosen to go.
    leaving: frozenset[str] = frozenset()
    #: The last look's, so that each failure and each success counts once.
    failed: frozenset[str] = frozenset()
    up: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from a look."""

    memory: Memory
    #: To be given to Serve; None when nothing changes.
    step: Step | None = None
    changes: tuple[Change, ...] = ()
    #: Of each model, or of the whole fleet under "".
    why: Mapping[str, str] = field(default_factory=dict)
    #: The replicas that should run and have no place, each with the reason.
    blocked: Mapping[str, str] = field(default_factory=dict)


def reconcile(
    deployed: Deployed,
    facts: Mapping[str, Facts],
    observed: Observed,
    memory: Memory,
    now_s: float,
) -> Outcome:
    """The next step towards what should run, or else the next decision."""
    if _is_anothers(deployed, observed):
        return Outcome(memory, why={"": ANOTHER_FLEET})
    fleet, inventory = deployed.fleet, _living(deployed.inventory, observed.live)
    running = running_of(observed.configs)
    models = {name: each.model for name, each in running.items()}
    memory = _with_unknown(memory, deployed, models)
    memory = _with_failures(memory, deployed, observed, models, now_s)
    made = plan(fleet, inventory, facts, running, _conditions(memory, observed))
    blocked = {action.replica: action.reason for action in made.blocked}
    memory = replace(memory, scaling=memory.scaling.with_counts(made.counts(), now_s))
    desired = render(fleet, made.addresses(), deployed.inventory)
    room = _capacity(deployed.inventory, observed.stopping)
    retried = _retried(memory, observed, models, now_s)
    step = next(iter(steps(observed.configs, desired, retried, room)), None)
    if step is not None:
        is_ready = _has_room(step, room)
        notes = "; ".join(made.notes) if is_ready else f"{step.application} waits for room"
        why = {"": notes} if notes else {}
        return Outcome(memory, step if is_ready else None, why=why, blocked=blocked)
    terms, pool = terms_of(fleet, made.needs), pool_of(inventory, made.needs, running)
    decision = autoscale(terms, pool, observed.demands, memory.scaling, now_s)
    leaving = (memory.leaving & running.keys()) | set(decision.leaving)
    kept = replace(memory, scaling=decision.scaling, leaving=frozenset(leaving))
    return Outcome(kept, changes=decision.changes, why=decision.why, blocked=blocked)


def _conditions(memory: Memory, observed: Observed) -> Conditions:
    counts = Counts(memory.scaling.counts(), memory.leaving)
    return Conditions(counts, Cordon(observed.suspects, observed.up | observed.ready))


def _is_anothers(deployed: Deployed, observed: Observed) -> bool:
    ours = ingress_application(deployed.fleet, deployed.inventory)
    return observed.configs.get(INGRESS_APPLICATION) != ours


def _living(inventory: Inventory, live: frozenset[str] | None) -> Inventory:
    """The nodes that may be planned on; all of them where nobody knows better."""
    nodes = tuple(node for node in inventory.nodes if live is None or node.address in live)
    return inventory.model_copy(update={"nodes": nodes}) if nodes else inventory


def _with_unknown(memory: Memory, deployed: Deployed, models: Mapping[str, str]) -> Memory:
    """A model that is not remembered has as many replicas as run; `models` by replica."""
    running = Counter(models.values())
    unknown = {
        name: model.replicas.clipped(running[name])
        for name, model in deployed.fleet.served().items()
        if name not in memory.scaling.models
    }
    return replace(memory, scaling=memory.scaling.with_counts(unknown, 0.0))


def _with_failures(
    memory: Memory, deployed: Deployed, observed: Observed, models: Mapping[str, str], now_s: float
) -> Memory:
    """Rule 3: each failure counts once, and ends with the next replica that comes up."""
    scaling, leaving = memory.scaling, memory.leaving
    served = deployed.fleet.served()
    models = {name: model for name, model in models.items() if model in served}
    for replica in sorted(observed.up - memory.up):
        if replica in models:
            scaling = scaling.with_success(models[replica])
    for replica in sorted(observed.failed - memory.failed):
        if replica in models:
            model, least = models[replica], served[models[replica]].replicas.min
            is_beyond = scaling.models[model].count > least
            scaling = scaling.with_failure(model, now_s, is_beyond=is_beyond)
            leaving |= {replica} if is_beyond else set()
    return Memory(scaling, leaving, observed.failed, observed.up)


def _retried(
    memory: Memory, observed: Observed, models: Mapping[str, str], now_s: float
) -> frozenset[str]:
    """The failed replicas whose pause is over."""
    return frozenset(
        replica
        for replica in observed.failed
        if replica in models and now_s >= _paused_until_s(memory, models[replica])
    )


def _paused_until_s(memory: Memory, model: str) -> float:
    state = memory.scaling.models.get(model)
    return 0.0 if state is None else state.paused_until_s


def _capacity(inventory: Inventory, stopping: Applications) -> Capacity:
    """What nodes have by address, without what is still in use by replicas that stop."""
    room: Counter[str] = Counter()
    for node in inventory.nodes:
        room[node.address] = inventory.accelerators_of(node).count
    for config in stopping.values():
        room.subtract(held(config))
    return {address: float(count) for address, count in room.items()}


def _has_room(step: Step, room: Capacity) -> bool:
    """Rule 2."""
    if step.action is Action.REMOVE:
        return True
    applications = {each["name"]: each for each in step.config["applications"]}
    beside: Counter[str] = Counter()
    for name, config in applications.items():
        if name != step.application:
            beside.update(held(config))
    return fits(held(applications[step.application]), beside, room)
