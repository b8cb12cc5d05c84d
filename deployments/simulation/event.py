"""What an operator lets happen during a run: a node leaves or returns, the load changes. Pure."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from cluster.problem import Problem, nearest
from deployments.errors import EventInvalid

MAX_S = 366 * 86_400.0
MAX_FACTOR = 10_000.0
_NODE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)s? (\S{1,63}) (leaves|returns)")
_LOAD = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)s? load x(\d{1,6}(?:\.\d{1,6})?)")


class What(StrEnum):
    """What becomes of a node."""

    LEAVES = "leaves"
    RETURNS = "returns"


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """A node is lost with all that runs there, or is there again."""

    at_s: float
    node: str
    what: What


@dataclass(frozen=True, slots=True)
class LoadStep:
    """From then on requests come so many times as fast."""

    at_s: float
    factor: float


Event = NodeEvent | LoadStep


def parse_event(text: str, nodes: Collection[str]) -> Event:
    """`600 node-3 leaves`, `1200 node-3 returns` or `600 load x3`. Raises EventInvalid."""
    if found := _LOAD.fullmatch(text):
        step = LoadStep(float(found[1]), float(found[2]))
        if step.at_s > MAX_S or not 0 < step.factor <= MAX_FACTOR:
            raise _invalid(text, f"the factor is above 0 and at most {MAX_FACTOR:,.0f}")
        return step
    found = _NODE.fullmatch(text)
    if found is None:
        raise _invalid(text, "an event is `600 node-3 leaves`, `600 node-3 returns`, `600 load x3`")
    if found[2] not in nodes:
        raise _invalid(text, f"there is no node {found[2]}{nearest(found[2], nodes)}")
    if float(found[1]) > MAX_S:
        raise _invalid(text, "that is later than a year")
    return NodeEvent(float(found[1]), found[2], What(found[3]))


def require_in_turn(events: Collection[Event]) -> None:
    """A node that is there leaves, one that has left returns. Raises EventInvalid."""
    away: set[str] = set()
    nodes = [event for event in events if isinstance(event, NodeEvent)]
    for event in sorted(nodes, key=lambda each: each.at_s):
        if (event.node in away) == (event.what is What.LEAVES):
            said = f"{event.at_s:g} {event.node} {event.what}"
            raise _invalid(said, "it is away then" if event.node in away else "it is there then")
        away ^= {event.node}


def _invalid(text: str, reason: str) -> EventInvalid:
    return EventInvalid([Problem((), f"{text!r:.100}: {reason}", "--event")])
