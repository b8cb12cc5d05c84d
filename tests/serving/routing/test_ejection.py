"""What puts a replica out, and that never more than half are put out for what may be chance."""

from hypothesis import given
from hypothesis import strategies as st

from serving.routing.breaker import CERTAIN, FAILURES_IN_A_ROW, SETTLED, Symptom
from serving.routing.ejection import judge
from serving.routing.filters import may_be_asked
from serving.routing.table import Slot
from tests.serving.reports import replica


def slots(count: int) -> list[Slot]:
    return [Slot(replica(f"m.{number}")) for number in range(count)]


def out(given_slots: list[Slot]) -> list[int]:
    return [number for number, slot in enumerate(given_slots) if not slot.breaker.is_closed]


def test_a_refused_connection_and_a_hang_are_enough() -> None:
    for symptom in CERTAIN:
        four = slots(4)
        assert judge(four[0], four, symptom, 0.0)
        assert out(four) == [0]


def test_a_busy_replica_is_a_well_one() -> None:
    two = slots(2)
    for _ in range(100):
        assert not judge(two[0], two, Symptom.BUSY, 0.0)
    assert two[0].breaker.answers == 0


def test_failures_in_a_row_put_out_and_a_success_between_them_does_not() -> None:
    two = slots(2)
    for _ in range(FAILURES_IN_A_ROW - 1):
        assert not judge(two[0], two, Symptom.FAILED, 0.0)
    two[0].breaker.succeeded()
    assert not judge(two[0], two, Symptom.FAILED, 0.0)
    for _ in range(FAILURES_IN_A_ROW - 1):
        judge(two[0], two, Symptom.FAILED, 0.0)
    assert out(two) == [0]


def test_who_fails_more_than_the_others_is_put_out_and_nobody_when_all_do() -> None:
    def after(ills: list[int]) -> list[int]:
        four = slots(4)
        for _ in range(SETTLED):
            for number, slot in enumerate(four):
                for turn in range(10):
                    if turn < 3 and number in ills:
                        judge(slot, four, Symptom.FAILED, 0.0)
                    else:
                        slot.breaker.succeeded()
        return out(four)

    assert after([2]) == [2]
    assert after([0, 1, 2, 3]) == []


def test_a_failed_probe_puts_out_again_although_half_are_out() -> None:
    two = slots(2)
    judge(two[0], two, Symptom.UNREACHABLE, 0.0)
    two[0].breaker.sent()
    assert judge(two[0], two, Symptom.FAILED, 5.0)
    assert two[0].breaker.out_until_s > 5.0


def test_13_when_all_are_out_all_are_asked() -> None:
    three = slots(3)
    for slot in three:
        judge(slot, three, Symptom.UNREACHABLE, 0.0)
    assert may_be_asked(three, (), 0.5) == three
    three[1].breaker.sent()
    three[1].breaker.began()
    assert may_be_asked(three, (), 0.5) == [three[1]]


@given(
    st.integers(1, 9),
    st.lists(st.tuples(st.integers(0, 8), st.booleans(), st.floats(0, 5)), max_size=200),
)
def test_what_may_be_chance_never_puts_out_more_than_half(
    count: int, answers: list[tuple[int, bool, float]]
) -> None:
    given_slots, now_s = slots(count), 0.0
    for number, is_good, after_s in answers:
        now_s += after_s
        slot = given_slots[number % count]
        if is_good:
            slot.breaker.succeeded()
        else:
            judge(slot, given_slots, Symptom.DIED, now_s)
        assert len(out(given_slots)) <= count / 2
        assert may_be_asked(given_slots, (), now_s)
