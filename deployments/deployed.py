"""A fleet and the inventory it was deployed on, as the Controller is told of them: a part of the
Serve config, so Serve keeps it, and whoever deploys a rendered file hands it over too. Without an
inventory it is told no more than how many replicas there should be, for its metrics. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from cluster.inventory import Inventory
from deployments.errors import FileInvalid
from deployments.fleet import Fleet

#: How to log in to a machine is for bring-up alone.
_LOGIN = {"ssh", "interface"}
#: Where the number of replicas stands without an inventory.
LEAST = "replicas"


@dataclass(frozen=True, slots=True)
class Deployed:
    """What should run, and where."""

    fleet: Fleet
    inventory: Inventory

    def to_config(self) -> dict[str, Any]:
        """As JSON values."""
        nodes = {"nodes": {"__all__": _LOGIN}}
        return {
            "fleet": fleet_config(self.fleet),
            "inventory": self.inventory.model_dump(
                mode="json",
                exclude_defaults=True,
                exclude={"head": True, **dict.fromkeys(_LOGIN, True), **nodes},
            ),
        }


def told_without_inventory(fleet: Fleet) -> dict[str, Any]:
    """What the Controller is told where nobody knows the nodes; as JSON values."""
    return {LEAST: {name: model.replicas.min for name, model in fleet.served().items()}}


def fleet_config(fleet: Fleet) -> dict[str, Any]:
    """A fleet as JSON values; where it runs is no part of it."""
    return fleet.model_dump(mode="json", exclude_defaults=True, exclude={"inventory"})


def deployed_of(config: Mapping[str, Any]) -> Deployed | None:
    """What the Controller was told; None without an inventory. Raises ValueError."""
    return from_config(config) if "inventory" in config else None


def least_of(config: Mapping[str, Any]) -> Mapping[str, int]:
    """The replicas of each model of a Controller that was told of no inventory."""
    return dict(config.get(LEAST, {}))


def from_config(config: Mapping[str, Any]) -> Deployed:
    """What `to_config` gave. Raises FileInvalid, ValueError."""
    try:
        return Deployed(
            Fleet.model_validate(config.get("fleet")),
            Inventory.model_validate(config.get("inventory")),
        )
    except (ValidationError, FileInvalid) as wrong:
        raise ValueError(f"the Controller was given no fleet and inventory: {wrong}") from wrong
