"""The way from the config that runs to the config that should run, as a list of whole configs.
Pure.

Rules
1. A step adds, changes or removes one application; everything else stays as it was. Nothing to do
   is no step.
2. The ingress comes first when there is none: replicas report to its Controller.
3. Otherwise it is told after the replicas are ready that clients will be sent to, and before those
   go that no client is sent to any more. Until then everything that clients knew works as before.
4. Serve does not start a failed application again for the same config: it is removed and added.
5. The dashboard comes before the replicas: it is there to watch them.
6. What needs accelerators that others still hold waits for them. Where everything that is left
   waits, something that is to go, or to start anew elsewhere, goes first.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from deployments.dashboard import DASHBOARD_APPLICATION, OWN_APPLICATIONS
from deployments.held import Capacity, fits, held
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

    @property
    def words(self) -> str:
        """For people, and for the audit."""
        return f"{self.action} {self.application}"


def applications_of(config: Config) -> dict[str, Config]:
    """The applications of a Serve config by name."""
    return {application["name"]: application for application in config["applications"]}


def steps(
    current: Applications,
    desired: Config,
    failed: Collection[str] = (),
    capacity: Capacity | None = None,
) -> list[Step]:
    """The steps in their order. `failed` names running applications that Serve has given up on;
    `capacity` is what nodes have, by address, where that is known.
    """
    wanted = applications_of(desired)
    running = dict(current)
    taken: list[Step] = []
    for name, action in _Order(current, wanted, frozenset(failed), capacity or {}).moves():
        if action is Action.REMOVE:
            del running[name]
        else:
            running[name] = wanted[name]
        taken.append(Step(action, name, _with(desired, running)))
    return taken


class _Order:
    """Decides what comes next from what is still to do and what holds the nodes."""

    def __init__(
        self,
        current: Applications,
        wanted: Applications,
        failed: frozenset[str],
        capacity: Capacity,
    ) -> None:
        self._wanted = wanted
        self._failed = failed & current.keys()
        self._capacity = capacity
        self._running: dict[str, Config] = {}
        self._held: Counter[str] = Counter()
        for name, config in current.items():
            self._put(name, config)
        self._ingress = [INGRESS_APPLICATION] if INGRESS_APPLICATION in wanted else []
        self._dashboard = [DASHBOARD_APPLICATION] if DASHBOARD_APPLICATION in wanted else []
        self._replicas = [name for name in wanted if name not in OWN_APPLICATIONS]
        self._obsolete = [name for name in current if name not in wanted]

    def moves(self) -> Iterator[tuple[str, Action]]:
        """Every move until the wanted applications run and no other."""
        if INGRESS_APPLICATION not in self._running:
            yield from self._tell()
        for dashboard in self._dashboard:
            yield from self._take(dashboard)
        due = [name for name in self._replicas if self._is_due(name)]
        self._replicas = sorted(due, key=self._is_counted)
        while self._replicas:
            name = next(filter(self._has_room, self._replicas), None)
            if name is None:
                yield from self._make_room()
            else:
                self._replicas.remove(name)
                yield from self._take(name)
        yield from self._tell()
        yield from [(name, Action.REMOVE) for name in self._obsolete]

    def _tell(self) -> Iterator[tuple[str, Action]]:
        """The gateways' turn, once."""
        names, self._ingress = self._ingress, []
        for name in names:
            yield from self._take(name)

    def _make_room(self) -> Iterator[tuple[str, Action]]:
        """Rule 6: clients are led away first, then something goes that holds what is needed."""
        yield from self._tell()
        needed = {at for name in self._replicas for at in held(self._wanted[name])}
        going = [*self._obsolete, *(name for name in self._replicas if name in self._running)]
        holders = [name for name in going if needed & held(self._running[name]).keys()]
        if not holders:
            # Held by what is none of ours to take away: Serve will say what is missing.
            yield from self._take(self._replicas.pop(0))
            return
        if holders[0] in self._obsolete:
            self._obsolete.remove(holders[0])
        yield from self._remove(holders[0])

    def _take(self, name: str) -> Iterator[tuple[str, Action]]:
        if name in self._failed and self._running.get(name) == self._wanted[name]:
            yield from self._remove(name)
        before = self._running.get(name)
        if before != self._wanted[name]:
            self._put(name, self._wanted[name])
            yield name, Action.ADD if before is None else Action.CHANGE

    def _remove(self, name: str) -> Iterator[tuple[str, Action]]:
        self._held.subtract(held(self._running.pop(name)))
        yield name, Action.REMOVE

    def _put(self, name: str, config: Config) -> None:
        self._held.subtract(held(self._running.get(name)))
        self._held.update(held(config))
        self._running[name] = config

    def _is_due(self, name: str) -> bool:
        return name in self._failed or self._running.get(name) != self._wanted[name]

    def _is_counted(self, name: str) -> bool:
        """What Ray placed holds accelerators that nobody can count: it is dealt with first."""
        running = self._running.get(name)
        return running is None or bool(held(running))

    def _has_room(self, name: str) -> bool:
        beside = Counter(self._held)
        beside.subtract(held(self._running.get(name)))
        return fits(held(self._wanted[name]), beside, self._capacity)


def _with(desired: Config, running: Applications) -> Config:
    """The desired config, but with the applications of this step, in the desired order."""
    order = [*applications_of(desired), *running]
    ordered = dict.fromkeys(name for name in order if name in running)
    return {**desired, "applications": [running[name] for name in ordered]}
