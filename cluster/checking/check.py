"""One thing that was looked at, and what is thought of it. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from cluster.errors import PartUnread
from cluster.inventory import Accelerators, Inventory, Machine, Node
from cluster.node_facts import Facts

Part = TypeVar("Part")
MAX_LISTED = 6


class State(StrEnum):
    """From good to bad."""

    SKIPPED = "skipped"
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """`text` is a figure, or the cause of a bad state; `fix` mends that."""

    name: str
    state: State
    text: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the inventory does not say."""

    gateway_port: int
    #: This machine is asked without ssh, and is judged by itself.
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """A machine of the inventory, and what it said of itself."""

    inventory: Inventory
    machine: Machine
    facts: Facts
    #: Its clock against ours.
    skew_s: float
    wanted: Wanted

    @property
    def is_head(self) -> bool:
        head = self.inventory.head_machine()
        return self.wanted.alone or (head is not None and head.name == self.machine.name)

    @property
    def accelerators(self) -> Accelerators | None:
        """What it should have; None for a head of its own."""
        if isinstance(self.machine, Node):
            return self.inventory.accelerators_of(self.machine)
        return None

    def need(self, name: str, part: Part | None) -> Part:
        """A part that the probe always gathers. Raises PartUnread."""
        self.require(name)
        if part is None:
            raise PartUnread("it was left out of the answer")
        return part

    def require(self, name: str) -> None:
        """Raises PartUnread when the part could not be gathered; None may be its value."""
        if name in self.facts.unread:
            raise PartUnread(self.facts.unread[name])


def ok(name: str, text: str) -> Check:
    return Check(name, State.OK, text)


def warn(name: str, text: str, fix: str) -> Check:
    return Check(name, State.WARN, text, fix)


def fail(name: str, text: str, fix: str) -> Check:
    return Check(name, State.FAIL, text, fix)


def skipped(name: str, text: str) -> Check:
    return Check(name, State.SKIPPED, text)


def some(items: list[str]) -> str:
    """The first few, and how many more."""
    more = len(items) - MAX_LISTED
    return ", ".join(items[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
