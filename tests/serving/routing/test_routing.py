"""Filter, score, pick: table tests, and what must never happen."""

import random
from collections.abc import Collection
from contextlib import closing
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from serving.routing.breaker import Breaker
from serving.routing.retry import BUDGET_SHARE, Attempts, Budget
from serving.routing.route import Ask, Dice, Router
from serving.routing.table import FORGET_S, Flight, Slot, Table
from serving.snapshot import Load, Phase, ReplicaReport
from tests.serving.reports import replica


def report(name: str = "m.0", phase: Phase = Phase.READY, busy: int = 0) -> ReplicaReport:
    return replica(name, "-x", phase, Load(running=busy))


def zero(count: int) -> int:
    return 0


NOTHING = Ask(prompt_tokens=0)


def route(slots: list[Slot], tried: Collection[str], now_s: float, dice: Dice) -> Slot | None:
    """The choice for a request of which nothing is known, by a gateway that knows nothing."""
    choice = Router().choose(slots, NOTHING, tried, now_s, dice)
    return None if choice is None else choice.slot


def ignore(slot: Slot) -> None:
    return None


def test_the_least_busy_is_picked_by_what_was_sent_and_what_others_sent() -> None:
    a, b = Slot(report("m.0")), Slot(report("m.1"))
    b.update(report("m.1", busy=1))
    with closing(Flight(a, 100, 300)):
        assert route([a, b], (), 0.0, zero) is b
        with closing(Flight(b, 100, 0)) as flight:
            assert route([a, b], (), 0.0, zero) is b
            with closing(Flight(b, 100, 0)):
                assert route([a, b], (), 0.0, zero) is a
                flight.began()
                assert route([a, b], (), 0.0, zero) is b


def test_who_is_not_ready_tried_or_suspect_is_left_out() -> None:
    a, b, c = Slot(report("m.0", Phase.DRAINING)), Slot(report("m.1")), Slot(report("m.2"))
    assert route([a, b, c], (b.replica_id,), 0.0, zero) is c
    b.breaker.out_until_s = 5.0
    assert route([a, b], (), 4.0, zero) is b
    assert route([b, c], (), 4.0, zero) is c
    assert route([a], (), 0.0, zero) is None


def test_an_own_request_is_not_counted_twice() -> None:
    slot = Slot(report())
    with closing(Flight(slot, 100, 50)):
        slot.update(report(busy=1))
        assert (slot.others, slot.ahead_tokens) == (0, 150)
    assert (slot.in_flight, slot.ahead_tokens) == (0, 0)


def test_a_slot_lives_as_long_as_its_replica_is_listed() -> None:
    table, gone = Table(), list[Slot]()
    table.apply([report("m.0"), report("m.1")], 0.0, gone.append)
    first = table.by_id["m.0-x"]
    table.apply([report("m.0")], 1.0, gone.append)
    assert table.by_id["m.0-x"] is first
    assert not table.by_id["m.1-x"].is_listed
    table.apply([report("m.0")], 1.0 + FORGET_S, gone.append)
    assert [slot.replica_id for slot in gone] == ["m.1-x"]


def test_a_restarted_replica_replaces_its_old_self_at_once() -> None:
    table, gone = Table(), list[Slot]()
    table.apply([report("m.0")], 0.0, gone.append)
    table.apply([replace(report("m.0"), replica_id="m.0-y")], 1.0, gone.append)
    assert [slot.replica_id for slot in table.of("m")] == ["m.0-y"]
    assert [slot.replica_id for slot in gone] == ["m.0-x"]


def test_a_drained_replica_that_left_is_gone() -> None:
    table = Table()
    table.apply([report("m.0", Phase.DRAINING)], 0.0, ignore)
    table.apply([], 1.0, ignore)
    assert table.of("m") == []


def test_the_lost_are_asked_only_when_nobody_is_listed() -> None:
    table = Table()
    table.apply([report("m.0"), report("m.1", busy=9)], 0.0, ignore)
    table.apply([report("m.1", busy=9)], 1.0, ignore)
    picked = route(table.of("m"), (), 1.0, zero)
    assert picked is not None
    assert picked.replica_id == "m.1-x"


def test_the_budget_is_a_share_of_those_that_do_not_retry_with_a_floor() -> None:
    budget = Budget()
    assert [budget.take() for _ in range(4)] == [True, True, True, False]
    budget.in_flight = 100
    assert sum(budget.take() for _ in range(50)) == 13
    assert 16 / (100 - 16) <= BUDGET_SHARE < 17 / (100 - 17)
    assert budget.holds()
    budget.in_flight = 50
    assert not budget.holds()


def test_attempts_end() -> None:
    attempts = Attempts()
    attempts.failed("a", was_taken=False)
    attempts.failed("b", was_taken=False)
    assert attempts.may_retry()
    attempts.failed("c", was_taken=False)
    assert not attempts.may_retry()
    assert attempts.tried == ("a", "b", "c")


slots = st.lists(
    st.tuples(
        st.sampled_from(Phase),
        st.integers(0, 5),
        st.floats(0, 10),
        st.booleans(),
    ),
    max_size=8,
)


@given(slots, st.sets(st.integers(0, 7)), st.floats(0, 10), st.integers(0, 1_000))
def test_the_picked_may_be_asked_and_nobody_better_was_there(
    given_slots: list[tuple[Phase, int, float, bool]],
    tried: set[int],
    now_s: float,
    seed: int,
) -> None:
    table = []
    for number, (phase, load, suspect, listed) in enumerate(given_slots):
        slot = Slot(
            report(f"m.{number}", phase), breaker=Breaker(out_until_s=suspect), ahead_tokens=load
        )
        slot.unlisted_s = 0.0 if listed else 1.0
        table.append(slot)
    names = {f"m.{number}-x" for number in tried}
    picked = route(table, names, now_s, random.Random(seed).randrange)  # noqa: S311
    able = [s for s in table if s.is_ready and s.replica_id not in names]
    if picked is None:
        assert able == []
        return
    assert picked in able
    same = [
        s
        for s in able
        if s.is_listed == picked.is_listed
        and (s.breaker.out_until_s <= now_s) == (picked.breaker.out_until_s <= now_s)
    ]
    assert min(s.ahead_tokens for s in same) == picked.ahead_tokens
