"""What can be known of a fleet's models before anything is loaded: the config.json of each where
this machine reaches it, the catalogue's facts where it does not.

Reads files and decides nothing. Nothing is downloaded.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cluster.architecture import read_architecture
from cluster.checkpoint import read_checkpoint
from cluster.errors import ClusterError
from cluster.inventory import Inventory
from deployments.catalogue import entry
from deployments.fleet import Fleet
from deployments.model import Served
from deployments.need import Facts
from deployments.weights import storage_roots
from serving.replica.weights import checkpoint, hub_cache


def facts_of(fleet: Fleet, inventory: Inventory) -> dict[str, Facts]:
    """The facts of every model with replicas of its own, by its name."""
    roots = (*storage_roots(inventory), hub_cache())
    return {name: _facts(name, model, roots) for name, model in fleet.served().items()}


def _facts(name: str, model: Served, roots: tuple[str, ...]) -> Facts:
    directory = checkpoint(model.source, roots)
    overrides = model.engine.get("hf_overrides")
    changes = overrides if isinstance(overrides, Mapping) else {}
    if directory is not None:
        return _read(directory, changes)
    known = entry(name)
    if known is not None and known.architecture and known.source == model.source:
        origin = f"the catalogue ({known.origin.get('architecture', 'no origin')})"
        return _known({**known.architecture, **changes}, origin)
    return Facts(None, f"no config.json of {model.source} is reachable from here")


def _read(directory: Path, changes: Mapping[str, Any]) -> Facts:
    try:
        read = read_checkpoint(directory)
    except ClusterError as error:
        return Facts(None, str(error), is_broken=True)
    known = _known({**read.config, **changes}, str(directory / "config.json"))
    return replace(known, stored_bytes=read.tensor_bytes)


def _known(config: Mapping[str, Any], origin: str) -> Facts:
    try:
        return Facts(read_architecture(config), origin, config)
    except ClusterError as error:
        return Facts(None, f"{origin}: {error}")
