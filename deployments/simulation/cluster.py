"""The cluster of a simulation: applies real plans to replicas that only take time. Pure.

Rules
1. Serve is told what a plan says, as a deploy would tell it; what it was told is what the next plan
   sees as running.
2. A replica that is to go drains first, for as long as the fleet's grace, and holds its
   accelerators until then. One that is to come waits for its accelerators.
3. A node that leaves takes with it every replica that has a stage there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from cluster.inventory import Inventory
from deployments.counts import Counts
from deployments.fleet import Fleet
from deployments.need import Facts, Need, needs_of
from deployments.plan import Action, Conditions, Plan, Verb, plan
from deployments.render import ingress_application, replica_application
from deployments.running import Running, running_of
from deployments.simulation.accelerators import Accelerators
from deployments.simulation.agenda import Agenda
from deployments.simulation.engine import Engine, Progress
from deployments.simulation.gateway import Gateway
from deployments.simulation.replica import Replica
from deployments.weights import storage_roots
from serving.snapshot import INGRESS_APPLICATION, Phase

STARTING = (Verb.START, Verb.RESIZE, Verb.CHANGE, Verb.MOVE)
STOPPING = (Verb.STOP, Verb.RESIZE, Verb.CHANGE, Verb.MOVE)


@dataclass(frozen=True, slots=True)
class Site:
    """What a cluster is made of."""

    fleet: Fleet
    inventory: Inventory
    facts: Mapping[str, Facts]


@dataclass(slots=True, eq=False)
class Cluster:
    """The nodes that are there, and every replica on them."""

    site: Site
    agenda: Agenda
    gateway: Gateway
    #: A new engine for a model.
    engine: Callable[[str], Engine]
    #: Seconds from a start until a model's replica takes requests.
    start_s: Callable[[str], float]
    inventory: Inventory = field(init=False)
    #: Of the nodes that are there.
    needs: Mapping[str, Need] = field(init=False)
    accelerators: Accelerators = field(init=False)
    running: dict[str, Running] = field(default_factory=dict)
    #: By name, those that Serve was told to run.
    replicas: dict[str, Replica] = field(default_factory=dict)
    #: Those that hold accelerators and take no more requests.
    draining: list[Replica] = field(default_factory=list)
    #: Those that wait for their accelerators.
    held_up: list[Replica] = field(default_factory=list)
    _number: int = 0

    def __post_init__(self) -> None:
        self._see(self.site.inventory)
        self.accelerators = Accelerators(
            {node.name: self._count(node.name) for node in self.inventory.nodes}
        )
        ingress = ingress_application(self.site.fleet)
        self.running |= running_of({INGRESS_APPLICATION: ingress})

    def begin(self, counts: Counts | None = None) -> Plan:
        """The fleet before the first request: every replica is ready. Raises FleetBlocked."""
        made = self._plan(counts)
        made.require_whole()
        self._apply(made)
        self._ready(*self.replicas.values())
        return made

    def follow(self, counts: Counts | None = None) -> Plan:
        """Plans for what is there now, and applies as much of it as has a place."""
        made = self._plan(counts)
        self._apply(made)
        return made

    def node_left(self, name: str) -> None:
        """The node and what had a stage there is gone."""
        nodes = tuple(node for node in self.inventory.nodes if node.name != name)
        self._see(self.inventory.model_copy(update={"nodes": nodes}))
        gone = [each for each in self._all() if name in each.nodes]
        for replica in gone:
            self._lose(replica)
        self.accelerators.leave(name)

    def node_returned(self, name: str) -> None:
        """The node is there again, and empty."""
        there = {node.name for node in self.inventory.nodes} | {name}
        nodes = tuple(node for node in self.site.inventory.nodes if node.name in there)
        self._see(self.inventory.model_copy(update={"nodes": nodes}))
        self.accelerators.join(name, self._count(name))

    def of(self, model: str) -> list[Replica]:
        """A model's replicas that take requests."""
        ready = Phase.READY
        return [e for e in self.replicas.values() if e.model == model and e.phase is ready]

    def _see(self, inventory: Inventory) -> None:
        """Other nodes from now on."""
        self.inventory = inventory
        self.needs = needs_of(self.site.fleet, inventory, self.site.facts)

    def _all(self) -> list[Replica]:
        return [*self.replicas.values(), *self.draining]

    def _count(self, name: str) -> int:
        inventory = self.site.inventory
        node = next(each for each in inventory.nodes if each.name == name)
        return inventory.accelerators_of(node).count

    def _plan(self, counts: Counts | None) -> Plan:
        site = self.site
        conditions = Conditions(counts or Counts())
        return plan(site.fleet, self.inventory, site.facts, self.running, conditions)

    def _apply(self, made: Plan) -> None:
        addresses, roots = made.addresses(), storage_roots(self.site.inventory)
        for action in made.actions:
            if action.verb in STOPPING and action.replica in self.replicas:
                self._stop(self.replicas[action.replica])
        for action in made.actions:
            if action.verb in STARTING:
                self._start(action, addresses[action.replica], roots)
        self._let_go_on()

    def _start(self, action: Action, addresses: tuple[str, ...], roots: tuple[str, ...]) -> None:
        number = int(action.replica.rpartition(".")[2])
        config = replica_application(self.site.fleet, action.model, number, addresses, roots)
        self.running |= running_of({action.replica: config})
        self._number += 1
        replica = Replica(
            name=action.replica,
            model=action.model,
            shape=action.shape,
            nodes=action.nodes,
            engine=self.engine(action.model),
            agenda=self.agenda,
            heard=self._heard,
            number=self._number,
        )
        self.replicas[replica.name] = replica
        self.held_up.append(replica)

    def _let_go_on(self) -> None:
        """Starts whoever has its accelerators by now."""
        now_s = self.agenda.now_s
        for replica in list(self.held_up):
            if self.accelerators.hold(replica, now_s):
                self.held_up.remove(replica)
                ready_s = now_s + self.start_s(replica.model)
                self.agenda.at(ready_s, partial(self._ready, replica))

    def _ready(self, *replicas: Replica) -> None:
        """Those that still start: the others have gone or were ready before."""
        ready = [each for each in replicas if each.phase is Phase.STARTING]
        for replica in ready:
            replica.phase = Phase.READY
        if ready:
            self.gateway.joined(ready)

    def _stop(self, replica: Replica) -> None:
        del self.replicas[replica.name]
        del self.running[replica.name]
        replica.phase = Phase.DRAINING
        if replica in self.held_up:
            self.held_up.remove(replica)
            return
        self.gateway.left(replica)
        self.draining.append(replica)
        if replica.is_idle:
            self._gone(replica)
            return
        ends_s = self.agenda.now_s + self.site.fleet.grace_s
        self.agenda.at(ends_s, partial(self._end_of_grace, replica))

    def _heard(self, replica: Replica, progress: Progress) -> None:
        self.gateway.heard(progress)
        if replica.phase is Phase.DRAINING and replica.is_idle and replica in self.draining:
            self._gone(replica)

    def _end_of_grace(self, replica: Replica) -> None:
        if replica in self.draining:
            works = replica.engine.leave()
            self._gone(replica)
            self.gateway.lost(replica, works)

    def _gone(self, replica: Replica) -> None:
        """A drained replica gives its accelerators back."""
        self.draining.remove(replica)
        self.accelerators.release(replica, self.agenda.now_s)
        self._let_go_on()

    def _lose(self, replica: Replica) -> None:
        if self.replicas.get(replica.name) is replica:
            del self.replicas[replica.name]
            del self.running[replica.name]
        if replica in self.draining:
            self.draining.remove(replica)
        replica.phase = Phase.DRAINING
        if replica in self.held_up:
            self.held_up.remove(replica)
            return
        self.accelerators.release(replica, self.agenda.now_s)
        self.gateway.left(replica)
        self.gateway.lost(replica, replica.engine.leave())
