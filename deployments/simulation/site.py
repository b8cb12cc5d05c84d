"""What a simulation needs of a fleet, put together: its nodes, and the service time of each model.
Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cluster.accelerator import Accelerator
from cluster.inventory import Inventory, Node
from cluster.problem import Problem
from deployments.calibration import Cache, Calibration
from deployments.engine_batch import engine_batch
from deployments.errors import SimulationImpossible
from deployments.model import Served
from deployments.need import Need, needs_of
from deployments.roofline import START_S, estimated, start_s
from deployments.simulation.cluster import Site
from deployments.simulation.service_time import Limits, ServiceTime, service_time


@dataclass(frozen=True, slots=True)
class Timed:
    """A model, how long its replicas take, and who says so."""

    time: ServiceTime
    calibration: Calibration


def with_nodes(inventory: Inventory, count: int) -> Inventory:
    """The inventory with so many nodes: its first ones, and copies of its last one."""
    last = inventory.nodes[-1]
    more = count - len(inventory.nodes)
    copies = tuple(_copy(last, number) for number in range(1, more + 1))
    return inventory.model_copy(update={"nodes": (*inventory.nodes[:count], *copies)})


def _copy(node: Node, number: int) -> Node:
    name = f"{node.name[:40]}-copy-{number}"
    return node.model_copy(update={"name": name, "address": f"copy-{number}.simulated"})


def timed(site: Site, calibrations: Iterable[Calibration], block_tokens: int) -> dict[str, Timed]:
    """Every model with replicas of its own. A calibration of just this model, shape and accelerator
    counts, of several the first; without one, an estimate. Raises SimulationImpossible.
    """
    known = tuple(calibrations)
    needs = needs_of(site.fleet, site.inventory, site.facts)
    problems: list[Problem] = []
    found = {}
    for name, model in site.fleet.served().items():
        try:
            found[name] = _timed(model, needs[name], _accelerator(site), known)
            _require_whole_blocks(found[name].time.cache, block_tokens)
        except ValueError as error:
            problems.append(Problem(("models", name), str(error)))
    if problems:
        raise SimulationImpossible(problems)
    return found


def _accelerator(site: Site) -> Accelerator:
    """Raises ValueError where there is more than one kind: a replica has one service time."""
    inventory = site.inventory
    kinds = {inventory.accelerators_of(node).each() for node in inventory.nodes}
    first = kinds.pop()
    if kinds or first is None:
        raise ValueError("the inventory has several kinds of accelerators: simulate one at a time")
    return first


def _timed(
    model: Served, need: Need, accelerator: Accelerator, known: tuple[Calibration, ...]
) -> Timed:
    batch = engine_batch(model.engine, need.shape, accelerator)
    wanted = (need.model, accelerator.kind, need.shape.tensor, need.shape.pipeline)
    measured = (each for each in known if _subject(each) == wanted)
    calibration = next(measured, None) or estimated(need, accelerator, batch)
    if calibration is None:
        raise ValueError(
            f"nobody has measured it on {accelerator.kind} as {need.shape}, and there is nothing "
            "to estimate it from: run `flotilla calibrate` and name the file with --calibration"
        )
    cache, start = calibration.cache, START_S
    if need.fit is not None:
        blocks = need.fit.kv_cache
        cache = Cache(blocks=blocks.blocks, block_tokens=blocks.block_size)
        start = start_s(need.fit)
    return Timed(service_time(calibration, Limits(batch, cache, start)), calibration)


def _subject(calibration: Calibration) -> tuple[str, str, int, int]:
    return (
        calibration.model,
        calibration.accelerator,
        calibration.tensor,
        calibration.pipeline,
    )


def _require_whole_blocks(cache: Cache, block_tokens: int) -> None:
    """Raises ValueError."""
    larger, smaller = sorted((cache.block_tokens, block_tokens), reverse=True)
    if larger % smaller:
        raise ValueError(
            f"blocks of {block_tokens} tokens in the trace and {cache.block_tokens} in the engine "
            "do not divide each other: set `block_size` in its `engine`"
        )


def names_of(site: Site) -> Mapping[str, str]:
    """Every name and alias that can be asked for -> the model's own name."""
    models = site.fleet.models.items()
    own = {name: name for name, _ in models}
    return {**{alias: name for name, model in models for alias in model.aliases}, **own}
