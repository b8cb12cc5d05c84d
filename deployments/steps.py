"""The way from the config that runs to the config that should run, as a list of whole configs.
Pure.

Rules
1. A step adds, changes or removes one application; everything else stays as it was. Nothing to do
   is no step.
2. The ingress comes first when there is none: replicas report to its Controller.
3. Otherwise it is told after the replicas are ready that clients will be sent to, and before those
   go that no client is sent to any more. Until then everything that clients knew works as before.
4. Serve does not start a failed application again for the same config: it is removed and added.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from serving.snapshot import INGRESS_APPLICATION

Config = Mapping[str, Any]
#: Applications by name.
Applications = Mapping[str, Config]


class Action(StrEnum):
    """What a step does to its application."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Step:
    """One PUT: `config` is all that runs afterwards."""

    action: Action
    application: str
    config: Config


def applications_of(config: Config) -> dict[str, Config]:
    """The applications of a Serve config by name."""
    return {application["name"]: application for application in config["applications"]}


def steps(current: Applications, desired: Config, failed: Collection[str] = ()) -> list[Step]:
    """The steps in their order. `failed` names running applications that Serve has given up on."""
    wanted = applications_of(desired)
    running = dict(current)
    taken: list[Step] = []
    for name, action in _moves(current, wanted, frozenset(failed)):
        if action is Action.REMOVE:
            del running[name]
        else:
            running[name] = wanted[name]
        taken.append(Step(action, name, _with(desired, running)))
    return taken


def _moves(
    current: Applications, wanted: Applications, failed: frozenset[str]
) -> Iterator[tuple[str, Action]]:
    replicas = [name for name in wanted if name != INGRESS_APPLICATION]
    ingress = [INGRESS_APPLICATION] if INGRESS_APPLICATION in wanted else []
    order = replicas + ingress if INGRESS_APPLICATION in current else ingress + replicas
    for name in order:
        yield from ((name, action) for action in _actions(name, current, wanted, failed))
    yield from ((name, Action.REMOVE) for name in current if name not in wanted)


def _actions(
    name: str, current: Applications, wanted: Applications, failed: frozenset[str]
) -> list[Action]:
    if name not in current:
        return [Action.ADD]
    if current[name] != wanted[name]:
        return [Action.CHANGE]
    return [Action.REMOVE, Action.ADD] if name in failed else []


def _with(desired: Config, running: Applications) -> Config:
    """The desired config, but with the applications of this step, in the desired order."""
    order = [*applications_of(desired), *running]
    ordered = dict.fromkeys(name for name in order if name in running)
    return {**desired, "applications": [running[name] for name in ordered]}
