"""What happened is what differs between two sights, said once and with its reason."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from deployments.event import Event, Kind, Sight, events_between, told_of
from serving.snapshot import GatewayReport, Load, Phase, ReplicaReport
from tests.deployments.test_plan import models
from tests.serving.reports import replica

GATEWAY = GatewayReport("gateway.1", "n", 1, "n:8000")


def said(before: Sight, after: Sight) -> list[str]:
    return [
        f"{each.kind} {each.subject} {each.text}" for each in events_between(before, after, 7.0)
    ]


def sight(*replicas: ReplicaReport, left_out: tuple[str, ...] = ()) -> Sight:
    return Sight(replicas, (replace(GATEWAY, left_out=left_out),))


def test_an_event_carries_the_moment_it_was_seen() -> None:
    (event,) = events_between(Sight(), sight(), 7.0)
    assert event == Event(7.0, Kind.GATEWAY, "gateway.1", "listens on n, n:8000")


def test_a_replica_that_comes_and_drains_and_stops_is_told_in_three_lines() -> None:
    ready = replica()
    draining = replace(ready, phase=Phase.DRAINING, load=Load(running=2))
    assert said(sight(), sight(ready)) == ["replica m.0 is ready on n, pid 0"]
    assert said(sight(ready), sight(draining)) == ["replica m.0 drains: 2 running"]
    assert said(sight(draining), sight()) == ["replica m.0 stopped, drained"]


def test_a_replica_that_goes_without_a_drain_is_called_dead() -> None:
    (line,) = said(sight(replica()), sight())
    assert "went without a drain: it died, or was killed" in line


def test_another_start_is_the_end_of_the_one_before() -> None:
    (line,) = said(sight(replica(start="#1")), sight(replica(start="#2")))
    assert "it died, or was killed; is ready on n" in line


def test_a_replica_that_only_gets_busier_is_no_event() -> None:
    assert said(sight(replica()), sight(replica(load=Load(running=9)))) == []


def test_a_node_that_is_suspect_and_one_that_is_no_longer_are_told() -> None:
    fine, less, least = Sight(), Sight(suspects={"n": "suspect: 7"}), Sight(suspects={"n": "6"})
    assert said(fine, less) == ["node n is suspect: 7; nothing starts there"]
    assert said(less, less) == []
    assert said(less, least) == ["node n is 6; nothing starts there"]
    assert said(least, fine) == ["node n is no longer suspect"]


def test_who_leaves_out_a_replica_and_takes_it_in_again_is_told() -> None:
    one = replica()
    assert said(sight(one), sight(one, left_out=("m.0#1",))) == [
        "ejection m.0 gateway.1 leaves it out, since it fails there"
    ]
    assert said(sight(one, left_out=("m.0#1",)), sight(one)) == [
        "ejection m.0 gateway.1 leaves it out no more"
    ]


def test_a_gateway_that_is_gone_is_told_with_its_node() -> None:
    assert said(sight(), Sight()) == ["gateway gateway.1 is gone from n"]


def test_nodes_are_told_only_by_who_knows_them() -> None:
    old, new = Sight(nodes=frozenset("ab")), Sight(nodes=frozenset("bc"))
    assert said(old, new) == ["node c joined", "node a is gone"]
    assert said(Sight(), new) == said(old, Sight()) == []


def test_requests_that_are_refused_from_now_on_are_counted() -> None:
    assert said(Sight(), Sight(quarantined=1)) == [
        "quarantine request refused from now on: replicas died with it"
    ]
    assert "2 more refused" in said(Sight(quarantined=1), Sight(quarantined=3))[0]
    assert said(Sight(quarantined=3), Sight(quarantined=1)) == []


def test_a_deploy_is_told_by_what_it_changes() -> None:
    before, after = models(a="", b="", c=""), models(a="replicas: {min: 2}", b="", d="")
    assert told_of(before, after) == "adds d; changes a; removes c"
    assert told_of(before, before) is None
    assert told_of(None, before) == "adds a b c"


SIGHTS = st.builds(
    Sight,
    st.lists(
        st.builds(
            replica,
            st.sampled_from(["m.0", "m.1"]),
            st.sampled_from(["#1", "#2"]),
            st.sampled_from(Phase),
        ),
        max_size=2,
        unique_by=lambda each: each.application,
    ).map(tuple),
    st.sampled_from([(), (GATEWAY,), (replace(GATEWAY, left_out=("m.0#1",)),)]),
    st.none() | st.frozensets(st.sampled_from("abc")),
    st.integers(0, 3),
)


@given(SIGHTS)
def test_where_nothing_changes_nothing_is_said(seen: Sight) -> None:
    assert said(seen, seen) == []


@given(SIGHTS, SIGHTS)
def test_every_replica_that_is_another_than_before_is_named(before: Sight, after: Sight) -> None:
    old, new = (
        {each.application: (each.replica_id, each.phase) for each in seen.replicas}
        for seen in (before, after)
    )
    other = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    named = {each.subject for each in events_between(before, after, 0) if each.kind == Kind.REPLICA}
    assert named == other
