"""Demand from reports: differences of counts, and nothing where nobody knows."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from deployments.demand import Demand
from deployments.observation import WINDOW_S, Reports, Tally, observe, ready_in, tallied
from serving import histogram
from serving.snapshot import DemandReport, GatewayReport, Load, Phase
from tests.serving.reports import replica

REPLICA = replica(load=Load(waiting=1, running=4, kv_use=0.5))


def gateway(name: str, *demands: DemandReport) -> GatewayReport:
    return GatewayReport(name, "n", 1, "127.0.0.1:8000", demands=demands)


def first_tokens(*times_s: float) -> tuple[int, ...]:
    counts = [0] * histogram.BUCKETS
    for each in times_s:
        counts[histogram.bucket(each)] += 1
    return tuple(counts)


def counted(arrivals: int, *times_s: float, queued: int = 0) -> DemandReport:
    return DemandReport("m", arrivals, queued, 100 * queued, first_tokens(*times_s))


def seen(*looks: Reports, every_s: float = 5.0) -> Demand | None:
    """The demand after these looks."""
    tallies: tuple[Tally, ...] = ()
    for at, reports in enumerate(looks):
        tallies = tallied(tallies, reports, at * every_s)
    return observe(["m"], looks[-1], tallies)["m"]


def test_counts_of_all_gateways_and_replicas_become_one_demand() -> None:
    other = replace(REPLICA, application="m.1", replica_id="m.1#1", load=Load(kv_use=0.1))
    starting = replace(REPLICA, application="m.2", phase=Phase.STARTING, load=Load(running=9))
    replicas = (REPLICA, other, starting)
    before = Reports(replicas, (gateway("a", counted(10, 0.1)), gateway("b", counted(5))))
    now = (gateway("a", counted(20, 0.1, 2.0)), gateway("b", counted(10, queued=2)))
    assert seen(before, Reports(replicas, now)) == Demand(
        ready=2,
        running=4,
        waiting=1,
        queued=2,
        tokens_in_flight=200,
        kv_use=0.3,
        arrivals_per_s=3.0,
        first_token_s=histogram.BOUNDS_S[histogram.bucket(2.0)],
    )


def test_the_first_look_knows_nothing_and_neither_does_one_without_gateways() -> None:
    reports = Reports((REPLICA,), (gateway("a", counted(10)),))
    assert seen(reports) is None
    assert seen(reports, Reports((REPLICA,), ())) is None
    assert seen(reports, reports) is not None


def test_a_replica_that_was_not_heard_of_makes_the_demand_unknown() -> None:
    reports = Reports((REPLICA,), (gateway("a", counted(10)),))
    assert seen(reports, replace(reports, silent=frozenset({REPLICA.replica_id}))) is None
    assert seen(reports, replace(reports, silent=frozenset({"other.0#1"}))) is not None


def test_a_replica_counts_as_ready_only_while_it_is_heard_of() -> None:
    starting = replace(REPLICA, application="m.1", replica_id="m.1#1", phase=Phase.STARTING)
    reports = Reports((REPLICA, starting), ())
    assert ready_in(reports) == {"m.0"}
    assert ready_in(replace(reports, silent=frozenset({REPLICA.replica_id}))) == frozenset()


def test_a_gateway_that_is_new_or_started_again_adds_no_burst() -> None:
    before = Reports((), (gateway("a", counted(1000)),))
    after = Reports((), (gateway("a.again", counted(3)), gateway("b", counted(1_000_000))))
    found = seen(before, after)
    assert found is not None
    assert found.arrivals_per_s == 0


@given(st.lists(st.integers(0, 100), min_size=3, max_size=30), st.floats(0.5, 40))
def test_the_rate_is_that_of_the_window_and_the_memory_is_bounded(
    steps: list[int], every_s: float
) -> None:
    totals = [sum(steps[: at + 1]) for at in range(len(steps))]
    looks = [Reports((), (gateway("a", counted(each)),)) for each in totals]
    tallies: tuple[Tally, ...] = ()
    for at, reports in enumerate(looks):
        tallies = tallied(tallies, reports, at * every_s)
    assert len(tallies) <= WINDOW_S / every_s + 3
    found = observe(["m"], looks[-1], tallies)["m"]
    assert found is not None
    most = max(steps[1:]) / every_s
    assert min(steps[1:]) / every_s <= found.arrivals_per_s * 1.0000001
    assert found.arrivals_per_s <= most * 1.0000001


def test_a_clock_that_went_back_forgets_the_future() -> None:
    reports = Reports((), (gateway("a", counted(10)),))
    tallies = tallied(tallied((), reports, 100.0), reports, 50.0)
    assert [tally.at_s for tally in tallies] == [50.0]
