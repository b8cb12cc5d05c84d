"""What a plan is made from (the inventory that a command means, what runs there now), and how it is
applied.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from cluster.accelerator import Accelerator
from cluster.inventory import Inventory
from cluster.this_machine import inventory_of_this_machine
from deployments.apply import Patience, Progress, apply, configs_of
from deployments.errors import ServeUnreachable
from deployments.facts import facts_of
from deployments.fleet import Fleet
from deployments.inventory_file import load_inventory
from deployments.plan import Plan, plan
from deployments.render import render
from deployments.running import Running, running_of
from deployments.serve_control import ServeControl
from deployments.steps import Step
from deployments.suggest import Situation
from ops.local_cluster import local_inventory


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
    running, note = _running_or_nothing()
    facts = facts_of(fleet, inventory)
    return Situation(fleet, inventory, facts, running), [note] if note else []


def measured_accelerator(fleet: Fleet, path: Path | None) -> Accelerator:
    """What an engine of this fleet runs on, by the inventory's first node. Raises InventoryInvalid,
    ClusterError.
    """
    inventory = deployed_inventory(fleet, path) or inventory_of_this_machine(fleet.device)
    found = inventory.accelerators_of(inventory.nodes[0]).each()
    if found is None:
        raise ValueError(f"the memory of {inventory.nodes[0].name}'s accelerators is unknown")
    return found


def _running_or_nothing() -> tuple[dict[str, Running], str]:
    try:
        return asyncio.run(_running_here()), ""
    except ServeUnreachable:
        return {}, "no cluster answers here: planned as for an empty one"


async def _running_here() -> dict[str, Running]:
    async with ServeControl() as control:
        return await running_now(control)


def planned(fleet: Fleet, inventory: Inventory, running: Mapping[str, Running]) -> Plan:
    """The plan; reads config.json files where it can reach them."""
    return plan(fleet, inventory, facts_of(fleet, inventory), running)


def capacity(inventory: Inventory) -> dict[str, float]:
    """Accelerators by the address of their node."""
    nodes = inventory.nodes
    return {node.address: float(inventory.accelerators_of(node).count) for node in nodes}


async def make_run(
    control: ServeControl,
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
    running = await running_now(control)
    made = await asyncio.to_thread(planned, fleet, inventory, running)
    made.require_whole()
    desired = render(fleet, made.addresses(), inventory)
    rooms = capacity(inventory)
    return await apply(control, desired, report, capacity=rooms, patience=patience)


async def running_now(control: ServeControl) -> dict[str, Running]:
    """The replicas that Serve was told to run. Raises ServeError."""
    return running_of(configs_of(await control.applications()))
