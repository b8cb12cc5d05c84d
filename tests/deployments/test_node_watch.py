"""What the watch knows is there at once or not at all, whatever Ray does."""

import logging

import pytest

from deployments.node_watch import DISMISSALS, GONE_S, STALE_S, NodeWatch


class Cluster:
    """A cluster and a clock, both by hand."""

    def __init__(self) -> None:
        self.nodes = 3
        self.is_gone = False
        self.cannot_list = False
        self.dismissals = 0
        self.now_s = 1000.0

    def live_nodes(self) -> tuple[str, ...]:
        if self.is_gone:
            raise ConnectionError
        return tuple(f"10.0.0.{at}" for at in range(self.nodes))

    def dismiss_waiting(self) -> None:
        if self.cannot_list:
            raise TimeoutError
        self.dismissals += 1

    def watched(self) -> NodeWatch:
        return NodeWatch(self, lambda: self.now_s)


def test_before_the_first_look_nobody_knows() -> None:
    assert Cluster().watched().live_nodes() is None


def test_the_newest_count_counts() -> None:
    cluster = Cluster()
    watch = cluster.watched()
    watch.look()
    assert watch.live_nodes() == 3
    cluster.nodes = 2
    watch.look()
    assert watch.live_nodes() == 2


def test_a_look_that_fails_or_hangs_leaves_the_count_for_a_while_and_then_nobody_knows() -> None:
    cluster = Cluster()
    watch = cluster.watched()
    watch.look()
    cluster.is_gone = True
    watch.look()
    cluster.now_s += STALE_S
    assert watch.live_nodes() == 3
    cluster.now_s += 1
    assert watch.live_nodes() is None


def test_a_head_that_is_away_is_said_once_each_time(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster()
    watch = cluster.watched()
    with caplog.at_level(logging.WARNING):
        for cluster.is_gone in (True, True, False, True):
            watch.look()
    assert caplog.messages == ["the nodes cannot be looked at: ConnectionError"] * 2


def test_who_waits_is_dismissed_by_the_looks_after_the_word_and_by_no_other() -> None:
    cluster = Cluster()
    watch = cluster.watched()
    watch.look()
    assert cluster.dismissals == 0
    watch.dismiss_waiting()
    for _ in range(DISMISSALS + 2):
        watch.look()
    assert cluster.dismissals == DISMISSALS


def test_a_dismissal_that_fails_is_tried_again_and_the_count_is_kept() -> None:
    cluster = Cluster()
    cluster.cannot_list = True
    watch = cluster.watched()
    watch.dismiss_waiting()
    watch.look()
    assert watch.live_nodes() == 3
    cluster.cannot_list = False
    for _ in range(DISMISSALS + 2):
        watch.look()
    assert cluster.dismissals == DISMISSALS


def test_a_node_is_gone_when_it_was_away_for_long_and_back_at_once() -> None:
    cluster = Cluster()
    watch = cluster.watched()
    assert watch.live_addresses() is None
    watch.look()
    cluster.nodes = 2
    cluster.now_s += GONE_S
    watch.look()
    assert watch.live_nodes() == 2
    assert watch.live_addresses() == frozenset(["10.0.0.0", "10.0.0.1", "10.0.0.2"])
    cluster.now_s += 1
    watch.look()
    assert watch.live_addresses() == frozenset(["10.0.0.0", "10.0.0.1"])
    cluster.nodes = 3
    watch.look()
    assert watch.live_addresses() == frozenset(["10.0.0.0", "10.0.0.1", "10.0.0.2"])
