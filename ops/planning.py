"""What a plan is made from (the inventory that a command means, what runs there now), and how it is
applied.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.accelerator import Accelerator
from cluster.inventory import Inventory
from cluster.this_machine import inventory_of_this_machine
from deployments.apply import Control, Patience, Progress, apply, configs_of, given_up
from deployments.cordon import NO_CORDON, Cordon
from deployments.errors import ServeUnreachable
from deployments.facts import facts_of
from deployments.fleet import Fleet
from deployments.inventory_file import load_inventory
from deployments.plan import Plan, plan
from deployments.render import render
from deployments.running import Running, running_of
from deployments.serve_control import Application, ServeControl
from deployments.steps import Config, Step, steps
from deployments.suggest import Situation
from ops.local_cluster import local_inventory
from ops.suspects import cordon_now

NOTHING_TO_DO = "nothing to do: the fleet runs as it should"


def named_inventory(fleet: Fleet, path: Path | None) -> Inventory | None:
    """The inventory that the command or the fleet file names; None when neither does. Raises
    InventoryInvalid.
    """
    named = path or fleet.inventory
    return load_inventory(Path(named)) if named else None


def deployed_inventory(fleet: Fleet, path: Path | None) -> Inventory | None:
    """The inventory to deploy on; None where Ray chooses, on a cluster that nobody described."""
    return named_inventory(fleet, path) or local_inventory(fleet.device)


def situation(fleet: Fleet, path: Path | None) -> tuple[Situation, list[str]]:
    """What `flotilla plan` looks at, and what has to be said about it."""
    inventory = deployed_inventory(fleet, path) or inventory_of_this_machine(fleet.device)
    running, cordon, note = _running_or_nothing(inventory)
    facts = facts_of(fleet, inventory)
    return Situation(fleet, inventory, facts, running, cordon), [note] if note else []


def measured_accelerator(fleet: Fleet, path: Path | None) -> Accelerator:
    """What an engine of this fleet runs on, by the inventory's first node. Raises InventoryInvalid,
    ClusterError.
    """
    inventory = deployed_inventory(fleet, path) or inventory_of_this_machine(fleet.device)
    found = inventory.accelerators_of(inventory.nodes[0]).each()
    if found is None:
        raise ValueError(f"the memory of {inventory.nodes[0].name}'s accelerators is unknown")
    return found


def _running_or_nothing(inventory: Inventory) -> tuple[dict[str, Running], Cordon, str]:
    try:
        return *asyncio.run(_running_here(inventory)), ""
    except ServeUnreachable:
        return {}, NO_CORDON, "no cluster answers here: planned as for an empty one"


async def _running_here(inventory: Inventory) -> tuple[dict[str, Running], Cordon]:
    async with ServeControl() as control:
        applications = await control.applications()
    return running_of(configs_of(applications)), await cordon_now(applications, inventory)


def planned(fleet: Fleet, inventory: Inventory, running: Mapping[str, Running]) -> Plan:
    """The plan; reads config.json files where it can reach them."""
    return plan(fleet, inventory, facts_of(fleet, inventory), running)


def capacity(inventory: Inventory) -> dict[str, float]:
    """Accelerators by the address of their node."""
    nodes = inventory.nodes
    return {node.address: float(inventory.accelerators_of(node).count) for node in nodes}


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be done to make a fleet run, and all that this was made from."""

    situation: Situation
    #: What Serve said.
    applications: Mapping[str, Application]
    plan: Plan
    #: What Serve is to be told.
    desired: Config

    @property
    def capacity(self) -> dict[str, float]:
        return capacity(self.situation.inventory)

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to do."""
        configs, failed = configs_of(self.applications), given_up(self.applications)
        return not steps(configs, self.desired, failed, self.capacity)

    @property
    def seal(self) -> str:
        """Another one as soon as something else would be done, or something else runs."""
        configs, failed = configs_of(self.applications), sorted(given_up(self.applications))
        text = json.dumps([configs, failed, self.desired], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


async def propose(
    control: Control, fleet: Fleet, inventory: Inventory, folder: Path | None = None
) -> Proposal:
    """The plan for what runs now; `folder` is Flotilla's own on the head. Raises ServeError."""
    applications = await control.applications()
    cordon = await cordon_now(applications, inventory, folder)
    facts = await asyncio.to_thread(facts_of, fleet, inventory)
    running = running_of(configs_of(applications))
    situation = Situation(fleet, inventory, facts, running, cordon)
    made = await asyncio.to_thread(situation.plan)
    desired = render(fleet, made.addresses(), inventory)
    return Proposal(situation, applications, made, desired)


async def carry_out(
    control: Control,
    proposal: Proposal,
    report: Callable[[Progress], None],
    patience: Patience | None = None,
) -> list[Step]:
    """Does what was proposed. Raises FleetBlocked, StepFailed, ServeError."""
    proposal.plan.require_whole()
    rooms = proposal.capacity
    return await apply(control, proposal.desired, report, capacity=rooms, patience=patience)


async def make_run(
    control: Control,
    fleet: Fleet,
    inventory: Inventory | None,
    report: Callable[[Progress], None],
    patience: Patience | None = None,
) -> list[Step]:
    """Plans for what runs now and applies the plan; without an inventory Ray chooses the nodes.
    Raises FleetBlocked, StepFailed, ServeError.
    """
    if inventory is None:
        return await apply(control, render(fleet), report, patience=patience)
    proposal = await propose(control, fleet, inventory)
    return await carry_out(control, proposal, report, patience)
