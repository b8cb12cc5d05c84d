"""What Serve calls answers at once, with a number that Serve can take."""

import threading
import time
from dataclasses import dataclass

import pytest

from deployments import gateway_policy, ray_nodes
from deployments.gateway_policy import two_on_every_node
from deployments.node_watch import NodeWatch


@dataclass
class Context:
    """As Serve tells it."""

    current_num_replicas: int = 4
    target_num_replicas: int = 4


@dataclass
class Cluster:
    nodes: int
    dismissed: bool = False

    def live_nodes(self) -> tuple[str, ...]:
        return ("10.0.0.1",) * self.nodes

    def dismiss_waiting(self) -> None:
        self.dismissed = True


def watched(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> NodeWatch:
    """The watch that the policy asks, which looks when it is told to."""
    watch = NodeWatch(cluster, time.monotonic)
    monkeypatch.setattr(gateway_policy, "node_watch", lambda: watch)
    return watch


def test_serve_hears_two_for_every_node_that_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(3)
    watch = watched(cluster, monkeypatch)
    assert two_on_every_node(Context()) == (4, {})
    watch.look()
    assert two_on_every_node(Context()) == (6, {})
    watch.look()
    assert not cluster.dismissed


def test_after_a_death_those_that_wait_are_dismissed(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(2)
    watch = watched(cluster, monkeypatch)
    watch.look()
    assert two_on_every_node(Context(target_num_replicas=6)) == (4, {})
    watch.look()
    assert cluster.dismissed


def test_while_ray_hangs_serve_hears_the_number_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, never = threading.Event(), threading.Event()

    class Hanging(Cluster):
        def live_nodes(self) -> tuple[str, ...]:
            asked.set()
            never.wait()
            return ()

    monkeypatch.setattr(ray_nodes, "RayNodes", lambda: Hanging(0))
    ray_nodes.node_watch.cache_clear()
    try:
        two_on_every_node(Context())
        assert asked.wait(10)
        assert two_on_every_node(Context()) == (4, {})
        assert ray_nodes.node_watch() is ray_nodes.node_watch()
    finally:
        ray_nodes.node_watch.cache_clear()
