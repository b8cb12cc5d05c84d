"""The plan: the difference between what should run and what runs, each part with its reason.

Pure: (fleet, inventory, facts, running, conditions) -> Plan. `flotilla plan` prints the value that
`deploy` applies.

Rules
1. Every replica that should run is in exactly one action, and so is every one that runs.
2. What runs as it should, where it should, is kept. It moves only where another replica could not
   be placed otherwise.
3. A replica that cannot be placed blocks no other, but a plan with a blocked replica is not
   applied. Only what is within a model's `min` can be blocked: what is beyond it and has no place
   is left out.
4. What is within `min` comes before what is beyond, then the higher priority, then first replicas
   before second ones: of equal models none is without any while another has two.
5. Nothing is placed anew on a node inside the cordon; what may stay there stays as it is, or moves
   out as a whole.
6. Nobody says how many: a model keeps the number that it has, within its `min` and `max`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cluster.fit import Shape
from cluster.inventory import Inventory
from cluster.placement import Ask, Placement, place
from cluster.problem import Problem
from deployments.cordon import NO_CORDON, Cordon
from deployments.counts import Counts, Wanted, wanted_replicas
from deployments.dashboard import (
    DASHBOARD_APPLICATION,
    OWN_APPLICATIONS,
    dashboard_application,
)
from deployments.errors import FleetBlocked
from deployments.fleet import Fleet
from deployments.need import Facts, Need, needs_of
from deployments.pool import rooms
from deployments.render import ingress_application, replica_application
from deployments.running import Config, Running, differences
from deployments.weights import storage_roots
from serving.snapshot import INGRESS_APPLICATION


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
class Conditions:
    """What holds at the moment, beside what files say."""

    counts: Counts = field(default_factory=Counts)
    cordon: Cordon = NO_CORDON


AS_WRITTEN = Conditions()


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
    #: What clients talk to.
    clients: Action
    #: What operators look at.
    dashboard: Action
    #: One for every replica, and for whatever else has to go.
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

    def counts(self) -> dict[str, int]:
        """How many replicas of each model will run."""
        placed = [action.model for action in self.actions if action.nodes]
        return {model: placed.count(model) for model in self.needs}

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
    conditions: Conditions = AS_WRITTEN,
) -> Plan:
    """What it takes to make so much of the fleet run on the inventory."""
    needs = needs_of(fleet, inventory, facts, conditions.cordon)
    names = {node.address: node.name for node in inventory.nodes}
    replicas = {name: each for name, each in running.items() if name not in OWN_APPLICATIONS}
    planner = _Planner(fleet, needs, inventory, replicas, conditions)
    placement = place(rooms(inventory), list(planner.asks()))
    actions = (*planner.wanted(placement), *planner.gone())
    clients, dashboard = _own(fleet, inventory, running)
    notes = (
        *_notes(needs, names, replicas),
        *conditions.cordon.notes(names),
        *planner.left_out(placement),
    )
    return Plan(inventory, needs, clients, dashboard, actions, notes)


def _own(
    fleet: Fleet, inventory: Inventory, running: Mapping[str, Running]
) -> tuple[Action, Action]:
    """What happens to the applications that have no accelerators: the gateways with the Controller,
    and the dashboard.
    """
    clients = ingress_application(fleet, inventory)
    dashboard = dashboard_application(fleet)
    return (
        _own_action(clients, running.get(INGRESS_APPLICATION), "gateways and Controller"),
        _own_action(dashboard, running.get(DASHBOARD_APPLICATION), "dashboard"),
    )


def _own_action(wanted: Config, now: Running | None, what: str) -> Action:
    name = str(wanted["name"])
    if now is None:
        return Action(Verb.START, name, "", what, Shape())
    changes = differences(now.config, wanted)
    if not changes:
        return Action(Verb.KEEP, name, "", "runs as it should", Shape())
    return Action(Verb.CHANGE, name, "", "; ".join(changes), Shape())


def _notes(
    needs: Mapping[str, Need], names: Mapping[str, str], running: Mapping[str, Running]
) -> Iterator[str]:
    for name, need in needs.items():
        if need.facts.architecture is None:
            yield f"{name}: its memory is not checked: {need.facts.origin}"
        elif need.is_heavier_than_counted:
            yield f"{name}: its files hold more than its config.json accounts for: not exact"
        yield from (f"{name}: {note}" for note in (need.fit.notes if need.fit else ()))
    for replica, each in running.items():
        for address in each.addresses:
            if address not in names:
                yield f"{replica} runs on {address}, which is not in the inventory"


class _Planner:
    def __init__(
        self,
        fleet: Fleet,
        needs: Mapping[str, Need],
        inventory: Inventory,
        running: Mapping[str, Running],
        conditions: Conditions,
    ) -> None:
        self._fleet = fleet
        self._needs = needs
        self._names = {node.address: node.name for node in inventory.nodes}
        self._roots = storage_roots(inventory)
        self._running = running
        self._cordon = conditions.cordon
        self._displaced = conditions.cordon.displaced(running)
        self._wanted: Mapping[str, Wanted] = wanted_replicas(
            fleet, running, conditions.counts, self._displaced
        )

    def asks(self) -> Iterator[Ask]:
        """What can be placed at all."""
        ranks = sorted({wanted.rank for wanted in self._wanted.values()})
        priorities = {rank: number for number, rank in enumerate(ranks)}
        for replica, wanted in self._wanted.items():
            need = self._needs[wanted.model]
            current, may_stay = self._current(replica, need), replica not in self._displaced
            ask = need.ask(replica, current, priorities[wanted.rank], may_stay=may_stay)
            if ask.nodes or ask.may_stay:
                yield ask

    def wanted(self, placement: Placement) -> Iterator[Action]:
        """An action for every replica that should run."""
        for replica, wanted in self._wanted.items():
            need = self._needs[wanted.model]
            nodes = placement.places.get(replica, ())
            if nodes or not wanted.is_beyond:
                unplaced = placement.unplaced.get(replica, "")
                verb, reason = self._verdict(replica, need, nodes, unplaced)
            elif replica in self._running:
                verb, reason = Verb.STOP, self._why_left_out(replica, placement)
            else:
                continue
            yield Action(verb, replica, wanted.model, reason, need.shape, nodes, self._was(replica))

    def left_out(self, placement: Placement) -> Iterator[str]:
        """What is beyond `min`, and has no place."""
        for replica, wanted in self._wanted.items():
            if wanted.is_beyond and replica not in placement.places:
                yield f"{replica} is left out: {self._why_left_out(replica, placement)}"

    def _why_left_out(self, replica: str, placement: Placement) -> str:
        need = self._needs[self._wanted[replica].model]
        return need.why_unplaced(placement.unplaced.get(replica, ""))

    def gone(self) -> Iterator[Action]:
        """An action for every replica that should run no longer."""
        for replica, each in self._running.items():
            if replica in self._wanted:
                continue
            was = self._was(replica)
            yield Action(Verb.STOP, replica, each.model, self._why_gone(each), each.shape, (), was)

    def _verdict(
        self, replica: str, need: Need, nodes: tuple[str, ...], unplaced: str
    ) -> tuple[Verb, str]:
        if not nodes:
            return Verb.BLOCKED, need.why_unplaced(unplaced)
        running = self._running.get(replica)
        if running is None:
            return Verb.START, need.arithmetic()
        if not running.model:
            return Verb.CHANGE, "its name is taken by an application that is not Flotilla's"
        if running.shape != need.shape:
            return Verb.RESIZE, f"{running.shape} -> {need.shape}"
        changes = self._changes(replica, running)
        if nodes != self._was(replica):
            return Verb.MOVE, "; ".join([self._why_moved(replica, need), *changes])
        return (Verb.CHANGE, "; ".join(changes)) if changes else (Verb.KEEP, "runs as it should")

    def _why_gone(self, each: Running) -> str:
        if not each.model:
            return "it is not Flotilla's"
        if each.model not in self._needs:
            return f"no {each.model} in the fleet"
        count = sum(wanted.model == each.model for wanted in self._wanted.values())
        return f"{each.model} has {count} replica{'' if count == 1 else 's'}"

    def _why_moved(self, replica: str, need: Need) -> str:
        lost = [at for at in self._running[replica].addresses if at not in self._names]
        if lost:
            return f"{lost[0]} is not in the inventory"
        if not self._was(replica):
            return "it was placed without a plan"
        if replica in self._displaced:
            why = self._cordon.why
            at = next(at for at in self._running[replica].addresses if at in why)
            return f"{self._names[at]} is {why[at]}"
        unfit = [node for node in self._was(replica) if not need.could_hold(node)]
        if unfit:
            return f"{unfit[0]} cannot hold it any more"
        if need.is_spread and len(set(self._was(replica))) < need.shape.pipeline:
            return "each stage has to be on a node of its own"
        return "its place is needed for a replica that fits nowhere else"

    def _changes(self, replica: str, running: Running) -> list[str]:
        model, number = self._wanted[replica].model, self._wanted[replica].number
        wanted = replica_application(self._fleet, model, number, roots=self._roots)
        return differences(running.config, wanted)

    def _current(self, replica: str, need: Need) -> tuple[str, ...]:
        """Where it could stay."""
        running = self._running.get(replica)
        was = self._was(replica)
        stays = running is not None and running.shape == need.shape
        return was if stays and len(was) == need.shape.pipeline else ()

    def _was(self, replica: str) -> tuple[str, ...]:
        """Where it runs, as far as those nodes are in the inventory."""
        running = self._running.get(replica)
        addresses = running.addresses if running else ()
        return tuple(self._names[at] for at in addresses if at in self._names)
