"""What runs, as the plan sees it: read off the configs that Serve was last given. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.label import ADDRESS_LABEL
from serving.snapshot import INGRESS_APPLICATION


@dataclass(frozen=True, slots=True)
class Running:
    """One replica that Serve was told to run."""

    #: As `ReplicaSpec.to_args` makes them.
    args: Mapping[str, Any]
    #: The address of each stage's node; empty where Ray was left to choose.
    addresses: tuple[str, ...]


def running_of(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, Running]:
    """The replicas among the configs of applications. What is no replica of ours has no shape that
    a plan could count, and is left out.
    """
    return {
        name: Running(config["args"], addresses_of(config))
        for name, config in configs.items()
        if name != INGRESS_APPLICATION and "tensor" in config.get("args", {})
    }


def addresses_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Where the config of a replica wants its stages."""
    deployments = config.get("deployments") or [{}]
    selectors = deployments[0].get("placement_group_bundle_label_selector") or ()
    return tuple(selector[ADDRESS_LABEL] for selector in selectors if ADDRESS_LABEL in selector)
