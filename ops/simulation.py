"""Puts a simulation together from files: the fleet's nodes and facts, calibrations, the trace."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from cluster.this_machine import inventory_of_this_machine
from deployments.calibration_file import committed_calibrations, load_calibration
from deployments.facts import facts_of
from deployments.fleet import Fleet
from deployments.model import Unavailable
from deployments.simulation.cluster import Site
from deployments.simulation.event import (
    LoadStep,
    NodeEvent,
    parse_event,
    require_in_turn,
)
from deployments.simulation.report import Report, report
from deployments.simulation.run import Case, simulate
from deployments.simulation.site import Timed, names_of, timed, with_nodes
from deployments.simulation.trace import Names, Trace, faster, repeated, with_load
from deployments.trace_file import load_trace
from ops.planning import deployed_inventory


@dataclass(frozen=True, slots=True)
class Load:
    """The trace, and what is made of it."""

    path: Path
    block_tokens: int
    model: str | None
    speed: float
    times: int


@dataclass(frozen=True, slots=True)
class Ground:
    """What it is played on."""

    inventory: Path | None
    nodes: int | None
    calibrations: Sequence[Path]


@dataclass(frozen=True, slots=True)
class Simulated:
    """What came of it, and what it rests on."""

    report: Report
    timed: dict[str, Timed]
    trace: Trace


def simulated(
    fleet: Fleet, load: Load, ground: Ground, events: Sequence[str], seed: int
) -> Simulated:
    """Raises DeploymentError."""
    site = _site(fleet, ground)
    given = [load_calibration(path) for path in ground.calibrations]
    found = timed(site, [*given, *committed_calibrations()], load.block_tokens)
    happening = [parse_event(text, [n.name for n in site.inventory.nodes]) for text in events]
    require_in_turn(happening)
    trace = load_trace(load.path, _names(site, load.model), load.block_tokens)
    trace = faster(repeated(trace, load.times), load.speed)
    for step in happening:
        if isinstance(step, LoadStep):
            trace = with_load(trace, step.at_s, step.factor)
    nodes = tuple(event for event in happening if isinstance(event, NodeEvent))
    case = Case(site, {name: each.time for name, each in found.items()}, trace, nodes)
    outcome = simulate(case, Random(seed).randrange)  # noqa: S311 - dice, no secret
    return Simulated(report(outcome, list(found)), found, trace)


def _site(fleet: Fleet, ground: Ground) -> Site:
    inventory = deployed_inventory(fleet, ground.inventory)
    inventory = inventory or inventory_of_this_machine(fleet.device)
    if ground.nodes is not None:
        inventory = with_nodes(inventory, ground.nodes)
    return Site(fleet, inventory, facts_of(fleet, inventory))


def _names(site: Site, model: str | None) -> Names:
    known = {
        alias: name
        for alias, name in names_of(site).items()
        if not isinstance(site.fleet.models[name], Unavailable)
    }
    served = list(site.fleet.served())
    default = model or (served[0] if len(served) == 1 else None)
    return Names(known, None if default is None else Names(known, None).of(default))
