"""A replica that dies often is told of; one that was told to go is not counted."""

from serving.restarts import FORGET_S, OFTEN, WINDOW_S, Restarts
from serving.snapshot import Phase
from tests.serving.reports import replica


def starts(restarts: Restarts, count: int, at_s: float = 0.0, application: str = "m.0") -> None:
    for number in range(count):
        restarts.report(replica(application, f"#{at_s + number}"), at_s + number)


def test_who_dies_often_is_counted_and_others_are_not() -> None:
    restarts = Restarts()
    starts(restarts, OFTEN + 1)
    starts(restarts, OFTEN, application="m.1")
    assert restarts.often(10) == {"m.0": OFTEN}


def test_deaths_are_forgotten_when_they_are_long_ago() -> None:
    restarts = Restarts()
    starts(restarts, OFTEN + 1)
    assert restarts.often(WINDOW_S + 1.5) == {}


def test_reports_of_the_same_start_are_no_restart() -> None:
    restarts = Restarts()
    for at_s in range(100):
        restarts.report(replica(), float(at_s))
    assert restarts.often(100) == {}


def test_a_replica_that_drained_before_it_left_has_not_died() -> None:
    restarts = Restarts()
    for at_s in range(10):
        restarts.report(replica(start=f"#{at_s}"), float(at_s))
        restarts.report(replica(start=f"#{at_s}", phase=Phase.DRAINING), at_s + 0.5)
    assert restarts.often(10) == {}


def test_replicas_that_are_no_more_are_not_remembered_for_ever() -> None:
    restarts = Restarts()
    starts(restarts, OFTEN + 1)
    restarts.report(replica("other.0"), 2 * FORGET_S)
    assert len(restarts._known) == 1
