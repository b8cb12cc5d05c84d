"""The plan: the difference between what should run and what runs, each part with its reason.

Pure: (fleet, inventory, facts, running) -> Plan. `flotilla plan` prints the value that `deploy`
applies.

Rules
1. Every replica that should run is in exactly one action, and so is every one that runs.
2. What runs as it should, where it should, is kept. It moves only where another replica could not
   be placed otherwise.
3. A replica that cannot be placed blocks no other, but a plan with a blocked replica is not
   applied.
4. First replicas come before second ones: no model is without any while another has two.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cluster.fit import Shape
from cluster.inventory import Inventory
from cluster.placement import Ask, Placement, Room, place
from cluster.problem import Problem
from deployments.errors import FleetBlocked
from deployments.fleet import Fleet
from deployments.need import Facts, Need, needs_of
from deployments.render import replica_spec
from deployments.running import Running


class Verb(StrEnum):
    """What a plan does with a replica."""

    START = "start"
    STOP = "stop"
    #: Started anew in another shape.
    RESIZE = "resize"
    #: Started anew with other settings, where it is.
    CHANGE = "change"
    MOVE = "move"
    KEEP = "keep"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Action:
    """One replica's part of the plan."""

    verb: Verb
    replica: str
    model: str
    reason: str
    shape: Shape
    #: By name, one for each stage; empty when it will not run.
    nodes: tuple[str, ...] = ()
    #: Where it runs now.
    was: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Which replicas start, stop and stay, and where."""

    inventory: Inventory
    needs: Mapping[str, Need]
    actions: tuple[Action, ...]
    notes: tuple[str, ...]

    @property
    def blocked(self) -> tuple[Action, ...]:
        return tuple(action for action in self.actions if action.verb is Verb.BLOCKED)

    def blocks(self) -> list[Problem]:
        """What is blocked, each reason of a model once."""
        reasons = dict.fromkeys((action.model, action.reason) for action in self.blocked)
        return [Problem(("models", model), reason) for model, reason in reasons]

    def require_whole(self) -> None:
        """Raises FleetBlocked when not all of it can be applied."""
        if self.blocked:
            raise FleetBlocked(self.blocks())

    def addresses(self) -> dict[str, tuple[str, ...]]:
        """The address of each stage's node, for every replica that is to run."""
        known = {node.name: node.address for node in self.inventory.nodes}
        return {
            action.replica: tuple(known[node] for node in action.nodes)
            for action in self.actions
            if action.nodes
        }


def plan(
    fleet: Fleet,
    inventory: Inventory,
    facts: Mapping[str, Facts],
    running: Mapping[str, Running],
) -> Plan:
    """What it takes to make the fleet run on the inventory."""
    needs = needs_of(fleet, inventory, facts)
    names = {node.address: node.name for node in inventory.nodes}
    is_here = any(address in names for each in running.values() for address in each.addresses)
    present = running if is_here else {}
    planner = _Planner(fleet, needs, names, present)
    placement = place(_rooms(inventory), list(planner.asks()))
    actions = (*planner.wanted(placement), *planner.gone())
    return Plan(inventory, needs, actions, tuple(_notes(needs, names, running, is_here=is_here)))


def _rooms(inventory: Inventory) -> list[Room]:
    return [Room(node.name, inventory.accelerators_of(node).count) for node in inventory.nodes]


def _notes(
    needs: Mapping[str, Need],
    names: Mapping[str, str],
    running: Mapping[str, Running],
    *,
    is_here: bool,
) -> Iterator[str]:
    for name, need in needs.items():
        if need.facts.architecture is None:
            yield f"{name}: its memory is not checked: {need.facts.origin}"
        elif need.is_heavier_than_counted:
            yield f"{name}: its files hold more than its config.json accounts for: not exact"
        yield from (f"{name}: {note}" for note in (need.fit.notes if need.fit else ()))
    if running and not is_here:
        yield "nothing that runs is on a node of this inventory: planned as for an empty cluster"
        return
    for replica, each in running.items():
        for address in each.addresses:
            if address not in names:
                yield f"{replica} runs on {address}, which is not in the inventory"


class _Planner:
    def __init__(
        self,
        fleet: Fleet,
        needs: Mapping[str, Need],
        names: Mapping[str, str],
        running: Mapping[str, Running],
    ) -> None:
        self._fleet = fleet
        self._needs = needs
        self._names = names
        self._running = running
        #: Every replica that should run -> its model and number.
        self._numbers = {
            f"{name}.{number}": (name, number)
            for name, need in needs.items()
            for number in range(need.replicas)
        }

    def asks(self) -> Iterator[Ask]:
        """What can be placed at all."""
        for replica, (model, number) in self._numbers.items():
            need = self._needs[model]
            if need.hosts:
                yield Ask(
                    replica=replica,
                    model=model,
                    tensor=need.shape.tensor,
                    pipeline=need.shape.pipeline,
                    spread=need.is_spread,
                    nodes=need.hosts,
                    current=self._current(replica, need),
                    priority=number,
                )

    def wanted(self, placement: Placement) -> Iterator[Action]:
        """An action for every replica that should run."""
        for replica, (model, _) in self._numbers.items():
            need = self._needs[model]
            nodes = placement.places.get(replica, ())
            verb, reason = self._verdict(replica, need, nodes, placement.unplaced.get(replica, ""))
            yield Action(verb, replica, model, reason, need.shape, nodes, self._was(replica))

    def gone(self) -> Iterator[Action]:
        """An action for every replica that should run no longer."""
        for replica, each in self._running.items():
            if replica in self._numbers:
                continue
            model = str(each.args["replica_set"])
            need = self._needs.get(model)
            reason = f"{model} has {_count(need)}" if need else f"no {model} in the fleet"
            yield Action(Verb.STOP, replica, model, reason, _shape(each), (), self._was(replica))

    def _verdict(
        self, replica: str, need: Need, nodes: tuple[str, ...], unplaced: str
    ) -> tuple[Verb, str]:
        if not nodes:
            return Verb.BLOCKED, unplaced or "; ".join(need.refusals)
        running = self._running.get(replica)
        if running is None:
            return Verb.START, need.arithmetic()
        if _shape(running) != need.shape:
            return Verb.RESIZE, f"{_shape(running)} -> {need.shape}"
        changes = self._changes(replica, running)
        if nodes != self._was(replica):
            return Verb.MOVE, "; ".join([self._why_moved(replica), *changes])
        return (Verb.CHANGE, "; ".join(changes)) if changes else (Verb.KEEP, "runs as it should")

    def _why_moved(self, replica: str) -> str:
        lost = [at for at in self._running[replica].addresses if at not in self._names]
        if lost:
            return f"{lost[0]} is not in the inventory"
        if not self._was(replica):
            return "it was placed without a plan"
        return "its place is needed for a replica that fits nowhere else"

    def _changes(self, replica: str, running: Running) -> list[str]:
        model, number = self._numbers[replica]
        spec = replica_spec(self._fleet, model, self._fleet.served()[model], number)
        wanted = spec.to_args()
        keys = [
            key for key in {**running.args, **wanted} if running.args.get(key) != wanted.get(key)
        ]
        return [f"{key}: {running.args.get(key)!s:.40} -> {wanted.get(key)!s:.40}" for key in keys]

    def _current(self, replica: str, need: Need) -> tuple[str, ...]:
        """Where it could stay."""
        running = self._running.get(replica)
        was = self._was(replica)
        stays = running is not None and _shape(running) == need.shape
        return was if stays and len(was) == need.shape.pipeline else ()

    def _was(self, replica: str) -> tuple[str, ...]:
        """Where it runs, as far as those nodes are in the inventory."""
        running = self._running.get(replica)
        addresses = running.addresses if running else ()
        return tuple(self._names[at] for at in addresses if at in self._names)


def _count(need: Need) -> str:
    return "1 replica" if need.replicas == 1 else f"{need.replicas} replicas"


def _shape(running: Running) -> Shape:
    return Shape(int(running.args["tensor"]), int(running.args["pipeline"]))
