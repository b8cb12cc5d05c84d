"""What an operator may let happen."""

import pytest

from deployments.errors import EventInvalid
from deployments.simulation.event import (
    LoadStep,
    NodeEvent,
    What,
    parse_event,
    require_in_turn,
)

NODES = ("node-1", "node-2")


def test_events_are_written_as_they_are_said() -> None:
    assert parse_event("600 node-1 leaves", NODES) == NodeEvent(600, "node-1", What.LEAVES)
    assert parse_event("0.5s node-2 returns", NODES) == NodeEvent(0.5, "node-2", What.RETURNS)
    assert parse_event("600s load x2.5", NODES) == LoadStep(600, 2.5)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "an event is `600 node-3 leaves`"),
        ("-5 node-1 leaves", "an event is"),
        ("nan node-1 leaves", "an event is"),
        ("600 node-3 leaves", "there is no node node-3; did you mean `node-2`?"),
        ("600 node-1 explodes", "an event is"),
        ("999999999 node-1 leaves", "later than a year"),
        ("600 load x0", "the factor is above 0"),
        ("600 load x999999", "the factor is above 0"),
    ],
)
def test_anything_else_is_refused_by_its_text(text: str, reason: str) -> None:
    with pytest.raises(EventInvalid) as raised:
        parse_event(text, NODES)
    assert repr(text) in str(raised.value)
    assert reason in str(raised.value)


def test_a_node_leaves_before_it_returns() -> None:
    leaves = [parse_event(f"{at} node-1 leaves", NODES) for at in (10, 30)]
    returns = parse_event("20 node-1 returns", NODES)
    require_in_turn([*leaves, returns])
    with pytest.raises(EventInvalid, match="30 node-1 leaves': it is away then"):
        require_in_turn(leaves)
    with pytest.raises(EventInvalid, match="20 node-1 returns': it is there then"):
        require_in_turn([returns])
