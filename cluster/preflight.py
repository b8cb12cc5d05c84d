"""Whether the machines of an inventory can carry a cluster. Pure: what they said of themselves and
what was promised of them in, verdicts out.

Rules
1. One verdict a check and machine; a machine that says nothing has one verdict, why.
2. A part that could not be read is a failed check of its own name, never a crash.
3. `blocks` names the checks that a bring-up does not begin without; the others inform.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from cluster.checking import accelerators, agreement, disk, limits, login, network, software
from cluster.checking.check import Check, Seen, State, fail
from cluster.errors import PartUnread
from cluster.inventory import Inventory, Machine

GROUPS: Mapping[str, Mapping[str, Callable[[Seen], Check]]] = {
    "login": {"ssh": login.login, "sudo": login.sudo, "clock": login.clock},
    "software": {
        "python": software.python,
        "driver": software.driver,
        "packages": software.packages,
    },
    "accelerators": {
        "accelerators": accelerators.accelerators,
        "gpu use": accelerators.gpu_use,
    },
    "disk": {
        "local storage": disk.local,
        "shared storage": disk.shared,
        "home": disk.home,
        "shared memory": disk.shared_memory,
    },
    "limits": {
        "open files": limits.files,
        "processes": limits.processes,
        "locked memory": limits.locked_memory,
    },
    "network": {
        "address": network.address,
        "route": network.route,
        "rails": network.rails,
    },
    "ports": {
        "ports": network.ports,
        "given ports": network.given_ports,
        "listeners": network.listeners,
    },
}
#: Where the verdicts belong that take more than one node, or more than the probe.
GROUP_OF_MORE = {
    "same python": "software",
    "same install": "software",
    "same driver": "software",
    "same mtu": "network",
    "same shared root": "disk",
    "bandwidth": "network",
    "models": "disk",
}
#: Why a machine has no other verdict than this.
SILENT = ("ssh", "facts")
#: What a bring-up installs is not among them: it mends an install that is old or half made.
BLOCKING = frozenset({
    "ssh", "facts", "clock", "python", "driver", "accelerators", "shared memory", "open files",
    "address", "ports", "same python",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    """All verdicts on a machine, by group."""

    machine: Machine
    groups: Mapping[str, tuple[Check, ...]]
    #: The command of the Python that all nodes have for an install; empty when there is none.
    python: str = ""

    @property
    def checks(self) -> tuple[Check, ...]:
        return tuple(check for checks in self.groups.values() for check in checks)

    @property
    def answered(self) -> bool:
        """Whether the machine has said what it is."""
        return not any(check.name in SILENT for check in self.failed)

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.state is State.FAIL)

    @property
    def blocking(self) -> tuple[Check, ...]:
        """Why no bring-up should begin here."""
        return tuple(check for check in self.failed if check.name in BLOCKING)

    def adding(self, check: Check) -> "Report":
        """This report with one more verdict."""
        group = GROUP_OF_MORE[check.name]
        checks = (*self.groups.get(group, ()), check)
        return replace(self, groups={**self.groups, group: checks})


def machines(inventory: Inventory) -> tuple[Machine, ...]:
    """All of them, a head of its own first."""
    own = (inventory.head,) if isinstance(inventory.head, Machine) else ()
    return (*own, *inventory.nodes)


def judged(seen: Sequence[Seen]) -> Iterable[Report]:
    """The verdicts on the machines that have answered."""
    same, python = agreement.agreements(seen), agreement.common_python(seen)
    for each in seen:
        groups = {name: tuple(_run(checks, each)) for name, checks in GROUPS.items()}
        report = Report(each.machine, groups, _command_of(each, python))
        yield reduce(Report.adding, same[each.machine.name], report)


def _command_of(seen: Seen, python: str | None) -> str:
    found = software.fitting(seen.facts.pythons or ())
    return next((each.command for each in found if each.version == python), "")


def silent(machine: Machine, check: Check) -> Report:
    """The report on a machine that gave no facts."""
    return Report(machine, {"login": (check,)})


def _run(checks: Mapping[str, Callable[[Seen], Check]], seen: Seen) -> Iterable[Check]:
    for name, check in checks.items():
        try:
            yield check(seen)
        except PartUnread as unread:
            yield fail(
                name, f"could not be read: {unread}", "look at what hangs or is missing on it"
            )
