"""Which checkpoints a fleet needs, and where nodes keep them. Pure."""

from collections.abc import Iterable, Mapping

from cluster.inventory import Inventory, Node
from deployments.fleet import Fleet
from deployments.model import Served, Shared


def storage_roots(inventory: Inventory) -> tuple[str, ...]:
    """Every root that any node has: those on nodes' own disks before those that nodes share. A node
    passes over what is not its own, so where a replica runs changes nothing of it.
    """
    stores = [inventory.storage, *(inventory.storage_of(node) for node in inventory.nodes)]
    roots = [*(store.local for store in stores), *(store.shared for store in stores)]
    return tuple(dict.fromkeys(root for root in roots if root))


def is_staged(model: Served) -> bool:
    """A path is the operator's own to bring; a Hugging Face id is ours."""
    return not model.source.startswith("/")


def sources(fleet: Fleet, names: Iterable[str] = ()) -> dict[str, tuple[str, ...]]:
    """The checkpoints of these models, or of all, each with the models that it is for. Raises
    KeyError with a name that has none.
    """
    owners = [_owner(fleet, name) for name in names] or list(fleet.served())
    found: dict[str, tuple[str, ...]] = {}
    for name in dict.fromkeys(owners):
        model = fleet.served()[name]
        if is_staged(model):
            found[model.source] = (*found.get(model.source, ()), name)
    return found


def sources_on(fleet: Fleet, node: Node, wanted: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Those that this node may have to hold: all but what its labels keep away, since replicas move
    and a replica that starts anew elsewhere should find its weights there.
    """
    return tuple(
        source
        for source, names in wanted.items()
        if any(_may_hold(node, fleet.served()[name]) for name in names)
    )


def _owner(fleet: Fleet, name: str) -> str:
    model = fleet.models[name]
    owner = model.replicas_of if isinstance(model, Shared) else name
    if owner not in fleet.served():
        raise KeyError(name)
    return owner


def _may_hold(node: Node, model: Served) -> bool:
    return all(node.labels.get(key) == value for key, value in model.node_labels.items())
