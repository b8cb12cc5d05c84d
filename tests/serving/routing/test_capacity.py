"""How many requests a replica may have: enough to be busy, few enough to keep their time."""

from contextlib import ExitStack, closing
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from serving.routing.capacity import LEAST_SHARE, WAITING_SHARE, Capacity, has_room
from serving.routing.filters import may_be_asked
from serving.routing.table import Flight, Slot
from serving.snapshot import Load
from tests.serving.reports import replica


def slot(most_running: int, name: str = "m.0", load: Load | None = None) -> Slot:
    made = Slot(replica(name))
    made.update(replace(replica(name), most_running=most_running, load=load or Load()))
    return made


def test_half_as_many_may_wait_as_run() -> None:
    one = slot(4)
    with ExitStack() as flights:
        taken = 0
        while has_room(one):
            flights.enter_context(closing(Flight(one, 1, 1)))
            taken += 1
    assert taken == 4 * (1 + WAITING_SHARE)


def test_an_engine_that_does_not_say_is_never_full() -> None:
    one = slot(0, load=Load(running=10_000, waiting=10_000))
    assert has_room(one)


def test_where_requests_wait_and_few_run_memory_is_the_limit_and_comes_back() -> None:
    capacity = Capacity()
    for _ in range(200):
        capacity.reported(Load(running=8, waiting=20), 256)
    assert 8 <= capacity.most_at_once / (1 + WAITING_SHARE) < 9
    for _ in range(200):
        capacity.reported(Load(running=2), 256)
    assert capacity.most_at_once / (1 + WAITING_SHARE) > 250


def test_a_moment_of_long_prompts_is_no_lack_of_memory() -> None:
    capacity = Capacity()
    for _ in range(4):
        capacity.reported(Load(running=1, waiting=200), 256)
    assert capacity.most_at_once > 256


def test_what_others_have_sent_counts() -> None:
    one = slot(4, load=Load(running=4, waiting=2))
    assert one.others == 6
    assert not has_room(one)


def test_a_gateway_takes_its_share_of_a_burst_and_always_half() -> None:
    one = slot(100)
    one.traffic.others_share = 0.9
    with ExitStack() as flights:
        while has_room(one):
            flights.enter_context(closing(Flight(one, 1, 1)))
        assert one.in_flight == one.capacity.most_at_once * LEAST_SHARE


def test_where_nobody_has_room_what_was_admitted_goes_to_somebody() -> None:
    busy, gone = slot(1, "m.0", Load(running=1, waiting=1)), slot(8, "m.1")
    assert may_be_asked([busy, gone], (), 0.0) == [gone]
    gone.breaker.out_until_s = 9.0
    assert may_be_asked([busy, gone], (), 0.0) == [busy]


@given(st.integers(1, 512), st.lists(st.tuples(st.integers(0, 600), st.integers(0, 600))))
def test_there_is_always_room_for_one_at_an_idle_replica(
    most_running: int, loads: list[tuple[int, int]]
) -> None:
    one = Slot(replica())
    for running, waiting in loads:
        load = Load(running=running, waiting=waiting)
        one.update(replace(replica(), most_running=most_running, load=load))
    one.update(replace(replica(), most_running=most_running))
    assert has_room(one)
    assert one.capacity.most_at_once <= most_running * (1 + WAITING_SHARE)
