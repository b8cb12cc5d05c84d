"""What runs, as the plan sees it: read off the configs that Serve was last given. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.label import ADDRESS_LABEL
from cluster.shape import Shape
from deployments.held import SELECTORS

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Running:
    """One application that Serve was told to run."""

    #: As `ReplicaSpec.to_args` makes them.
    args: Mapping[str, Any]
    #: The address of each stage's node; empty where Ray was left to choose.
    addresses: tuple[str, ...] = ()
    #: The whole of it.
    config: Config = field(default_factory=dict)

    @property
    def model(self) -> str:
        """The model whose replica it is; empty for an application that is none of ours."""
        return str(self.args.get("replica_set", ""))

    @property
    def shape(self) -> Shape:
        sizes = (self.args.get("tensor"), self.args.get("pipeline"))
        tensor, pipeline = (size if type(size) is int and size > 0 else 1 for size in sizes)
        return Shape(tensor, pipeline)


def running_of(configs: Mapping[str, Config]) -> dict[str, Running]:
    """All applications, other people's too: a deploy removes what is not in the fleet."""
    return {name: _running(config) for name, config in configs.items()}


def _running(config: Config) -> Running:
    args = config.get("args")
    return Running(args if isinstance(args, Mapping) else {}, addresses_of(config), config)


def addresses_of(config: Config) -> tuple[str, ...]:
    """Where the config of a replica wants its stages."""
    deployments = config.get("deployments") or [{}]
    selectors = deployments[0].get(SELECTORS) or ()
    return tuple(selector[ADDRESS_LABEL] for selector in selectors if ADDRESS_LABEL in selector)


def differences(now: Config, wanted: Config) -> list[str]:
    """What a change of an application's config changes, as `key: now -> wanted`. Where it runs is
    not a part of it.
    """
    return [
        *_differing(now.get("args") or {}, wanted.get("args") or {}),
        *_differing(_deployment(now), _deployment(wanted)),
        *_differing(_rest(now), _rest(wanted)),
    ]


def _deployment(config: Config) -> Config:
    deployments = config.get("deployments") or [{}]
    return {key: value for key, value in deployments[0].items() if key != SELECTORS}


def _rest(config: Config) -> Config:
    more = {
        f"deployment {at}": each for at, each in enumerate(config.get("deployments") or ()) if at
    }
    plain = {key: value for key, value in config.items() if key not in ("args", "deployments")}
    return {**plain, **more}


def _differing(now: Config, wanted: Config) -> list[str]:
    keys = [key for key in {**now, **wanted} if now.get(key) != wanted.get(key)]
    return [f"{key}: {now.get(key)!s:.40} -> {wanted.get(key)!s:.40}" for key in keys]
