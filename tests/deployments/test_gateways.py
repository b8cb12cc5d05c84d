"""The number of gateways follows the nodes, and no gateway that serves is ever in the way of it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.gateways import GATEWAYS_PER_NODE, gateways

counts = st.integers(0, 200)


@pytest.mark.parametrize(
    ("live_nodes", "serving", "target", "wanted", "why"),
    [
        (2, 4, 4, 4, "nothing has changed"),
        (3, 4, 4, 6, "a node has joined"),
        (64, 2, 2, 128, "the first two serve on a cluster of sixty-four"),
        (3, 0, 2, 2, "nothing serves yet: a failure of the first two must be seen"),
        (3, 1, 2, 2, "one serves, the other may still fail"),
        (2, 6, 6, 6, "a node has died and Serve has not noticed"),
        (2, 5, 6, 6, "Serve has noticed one of its two"),
        (2, 4, 6, 4, "Serve has noticed both: two wait for room that is gone"),
        (3, 4, 6, 6, "a node has died while another one joined"),
        (None, 4, 4, 4, "nobody knows how many nodes live"),
        (0, 2, 2, 2, "no node lives, says a head that has just come back"),
    ],
)
def test_the_number_is_two_on_every_live_node(
    live_nodes: int | None, serving: int, target: int, wanted: int, why: str
) -> None:
    assert gateways(live_nodes, serving, target) == wanted, why


@given(live_nodes=st.none() | counts, serving=counts, target=counts)
def test_it_never_grows_beyond_two_on_each_and_never_shrinks_below_what_serves(
    live_nodes: int | None, serving: int, target: int
) -> None:
    number = gateways(live_nodes, serving, target)
    if number != target:
        assert live_nodes
        assert number == GATEWAYS_PER_NODE * live_nodes
    if number < target:
        assert number >= max(serving, GATEWAYS_PER_NODE)


@dataclass
class Cluster:
    """Nodes, and what Serve does with the number: at most two on a node, and of too many those go
    first that do not serve.
    """

    alive: set[int] = field(default_factory=lambda: {0})
    #: The node of every gateway that Serve takes for serving.
    serving: list[int] = field(default_factory=list)
    waiting: int = GATEWAYS_PER_NODE
    #: As it was last counted.
    counted: int | None = None
    target: int = GATEWAYS_PER_NODE
    joined: int = 1

    def node_joins(self) -> None:
        self.alive.add(self.joined)
        self.joined += 1

    def node_dies(self) -> None:
        if len(self.alive) > 1:
            self.alive.remove(max(self.alive))

    def nodes_are_counted(self) -> None:
        self.counted = len(self.alive)

    def head_does_not_answer(self) -> None:
        self.counted = None

    def serve_notices_a_death(self) -> None:
        dead = next((node for node in self.serving if node not in self.alive), None)
        if dead is not None:
            self.serving.remove(dead)
            self.waiting += 1

    def serve_looks_for_room(self) -> None:
        for node in sorted(self.alive):
            while self.waiting and self.serving.count(node) < GATEWAYS_PER_NODE:
                self.serving.append(node)
                self.waiting -= 1

    def serve_asks(self) -> None:
        self.target = gateways(self.counted, len(self.serving), self.target)
        surplus = len(self.serving) + self.waiting - self.target
        self.waiting -= min(surplus, self.waiting)
        assert len(self.serving) + self.waiting == self.target, "one that serves would have to go"


CALM = (
    Cluster.nodes_are_counted,
    Cluster.serve_notices_a_death,
    Cluster.serve_asks,
    Cluster.serve_looks_for_room,
)
EVENTS = (*CALM, Cluster.node_joins, Cluster.node_dies, Cluster.head_does_not_answer)


@given(st.lists(st.sampled_from(EVENTS), max_size=60))
def test_whatever_happens_nothing_that_serves_is_stopped_and_every_node_gets_its_two(
    events: list[Callable[[Cluster], None]],
) -> None:
    cluster = Cluster()
    for event in events:
        event(cluster)
    for _ in range(2 * len(events) + 4):
        for event in CALM:
            event(cluster)
    assert sorted(cluster.serving) == sorted([*cluster.alive] * GATEWAYS_PER_NODE)
    assert (cluster.target, cluster.waiting) == (2 * len(cluster.alive), 0)
