"""What can be known of a fleet's models before anything is loaded: the config.json of each where
this machine reaches it, the catalogue's facts where it does not.

Reads files and decides nothing. Nothing is downloaded.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from os import environ
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


def facts_of(fleet: Fleet, inventory: Inventory) -> dict[str, Facts]:
    """The facts of every model with replicas of its own, by its name."""
    roots = [*_storage_roots(inventory), *_hub_roots()]
    return {name: _facts(name, model, roots) for name, model in fleet.served().items()}


def _facts(name: str, model: Served, roots: list[str]) -> Facts:
    directory = next((at for at in _directories(model.source, roots) if _has_config(at)), None)
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
        checkpoint = read_checkpoint(directory)
    except ClusterError as error:
        return Facts(None, str(error), is_broken=True)
    known = _known({**checkpoint.config, **changes}, str(directory / "config.json"))
    return replace(known, stored_bytes=checkpoint.tensor_bytes)


def _known(config: Mapping[str, Any], origin: str) -> Facts:
    try:
        return Facts(read_architecture(config), origin, config)
    except ClusterError as error:
        return Facts(None, f"{origin}: {error}")


def _directories(source: str, roots: list[str]) -> Iterator[Path]:
    if source.startswith("/"):
        yield Path(source)
        return
    for root in roots:
        yield Path(root) / source
        yield from _snapshot(Path(root) / f"models--{source.replace('/', '--')}")


def _snapshot(repository: Path) -> Iterator[Path]:
    """The commit that `main` is in the hub's own cache, which is what vLLM loads."""
    try:
        commit = (repository / "refs" / "main").read_text().strip()
    except (OSError, ValueError):
        return
    yield repository / "snapshots" / commit


def _has_config(directory: Path) -> bool:
    try:
        return (directory / "config.json").is_file()
    except OSError:
        return False  # a directory that may not be entered, or a name that cannot be one


def _storage_roots(inventory: Inventory) -> list[str]:
    stores = [inventory.storage, *(inventory.storage_of(node) for node in inventory.nodes)]
    return list(dict.fromkeys(root for store in stores for root in store.roots()))


def _hub_roots() -> list[str]:
    home = environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    return [environ.get("HF_HUB_CACHE") or str(Path(home) / "hub")]
