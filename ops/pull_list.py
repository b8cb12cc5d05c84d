"""What `flotilla models pull` was asked for: fleets, models of the catalogue, repositories."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.inventory import Inventory
from cluster.manifest import SOURCE
from deployments.catalogue import entry, ids
from deployments.inventory_file import load_inventory
from deployments.load import load
from deployments.weights import sources
from ops.errors import WeightsFailed
from ops.planning import named_inventory

YAML = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class PullList:
    """Checkpoints (`organisation/name`), and the inventories that say where they go."""

    sources: tuple[str, ...]
    inventories: tuple[Inventory, ...]

    def shared_root(self) -> Path:
        """The one root that all nodes share. Raises WeightsFailed."""
        roots = {
            store.shared
            for each in self.inventories
            for store in (each.storage, *map(each.storage_of, each.nodes))
            if store.shared
        }
        if len(roots) == 1:
            return Path(roots.pop())
        cause = f"the nodes share {' and '.join(sorted(roots))}" if roots else "no shared root"
        raise WeightsFailed(
            f"{cause}: name an inventory with one `storage.shared`, or a folder with `--to`"
        )


def pull_list(asked: Sequence[str], inventory_path: Path | None) -> PullList:
    """Raises FleetInvalid, InventoryInvalid and WeightsFailed."""
    found: list[str] = []
    inventories = [load_inventory(inventory_path)] if inventory_path else []
    for each in asked:
        if Path(each).suffix in YAML:
            fleet = load(Path(each))
            found += sources(fleet)
            own = None if inventory_path else named_inventory(fleet, None)
            inventories += [own] if own else []
        else:
            found += _named(each)
    if not found:
        raise WeightsFailed("all checkpoints are named by path: there is nothing to pull")
    return PullList(tuple(dict.fromkeys(found)), tuple(inventories))


def _named(name: str) -> Iterator[str]:
    known = entry(name)
    if known is not None and known.source is not None:
        yield known.source
    elif known is not None:
        raise WeightsFailed(f"{name}: {known.unavailable}")
    elif "/" in name and SOURCE.fullmatch(name):
        yield name
    else:
        raise WeightsFailed(
            f"{name} is no fleet file, no Hugging Face id (organisation/name), and no model of the "
            f"catalogue: {', '.join(ids())}"
        )
