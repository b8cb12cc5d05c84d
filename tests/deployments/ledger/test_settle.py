"""What a record says after its engines have counted."""

from hypothesis import given
from hypothesis import strategies as st

from deployments.ledger.settle import Cost, Counted, Source, settled

ESTIMATE = Cost(0, 0, 3, 0.0, Source.ESTIMATE)
REPLY = Cost(10, 2, 5, 0.0, Source.REPLY)
COUNT = Counted("r", 10, 2, 7, 1.5)
OTHER = Counted("s", 10, 0, 4, 0.5)


def test_without_a_count_nothing_changes() -> None:
    assert settled(ESTIMATE, "r", ()) == ESTIMATE


def test_an_estimate_becomes_the_count_of_the_replica_that_answered() -> None:
    assert settled(ESTIMATE, "r", (OTHER, COUNT)) == Cost(10, 2, 7, 2.0, Source.COUNT)


def test_a_count_of_another_replica_leaves_an_estimate_an_estimate() -> None:
    assert settled(ESTIMATE, "r", (OTHER,)) == Cost(0, 0, 3, 0.5, Source.ESTIMATE)


def test_the_engines_own_reply_stands() -> None:
    assert settled(REPLY, "r", (COUNT,)) == Cost(10, 2, 5, 1.5, Source.REPLY)


def test_a_second_count_is_added_to_the_first() -> None:
    once = settled(ESTIMATE, "r", (COUNT,))
    assert settled(once, "r", (Counted("r", 10, 2, 9, 2.0),)) == Cost(10, 2, 9, 2.0, Source.COUNT)


counts = st.lists(
    st.builds(
        Counted,
        st.sampled_from("rst"),
        st.integers(0, 99),
        st.integers(0, 99),
        st.integers(0, 99),
        st.floats(0, 10),
    ),
    unique_by=lambda count: count.replica_id,
)


@given(counts, st.sampled_from([ESTIMATE, REPLY]))
def test_the_same_counts_twice_change_nothing_the_second_time(
    known: list[Counted], cost: Cost
) -> None:
    once = settled(cost, "r", known)
    assert settled(once, "r", known) == once
