"""A node is suspect once its driver has answered for too few accelerators for long enough, and no
longer once it has answered for all as long.
"""

from hypothesis import given
from hypothesis import strategies as st

from deployments.inventory_file import parse_inventory
from deployments.suspect import CERTAIN_S, Suspicion
from tests.deployments.test_plan import nodes

NODE = "10.0.0.1"
PERIOD_S = 10.0
#: The first answer, and those until it is certain.
ENOUGH = 1 + int(CERTAIN_S / PERIOD_S)


def told(*answers: int | None, first: Suspicion | None = None) -> list[bool]:
    """Whether the node is suspect after each answer; None: there was none."""
    suspicion, inventory, found = first or Suspicion(), nodes(8), []
    for at, count in enumerate(answers):
        answer = {} if count is None else {NODE: count}
        suspicion = suspicion.after(answer, inventory, at * PERIOD_S)
        found.append(NODE in suspicion.suspects)
    return found


def test_a_driver_that_answers_for_one_less_is_believed_when_it_goes_on_to() -> None:
    assert told(8, *[7] * ENOUGH) == [False] * ENOUGH + [True]


def test_it_says_how_many_are_there_and_how_many_should_be() -> None:
    suspicion = Suspicion()
    for at_s in (0.0, CERTAIN_S):
        suspicion = suspicion.after({NODE: 7}, nodes(8), at_s)
    assert suspicion.suspects == {NODE: "suspect: its driver answers for 7 of 8 accelerators"}


def test_too_few_is_too_few_though_the_number_changes() -> None:
    assert told(8, 7, 6, 7, 6) == [False] * ENOUGH + [True]


def test_an_answer_that_fails_now_and_then_changes_nothing() -> None:
    assert not any(told(8, 7, 8, 7, 7, 8, 0, 8))
    assert all(told(*[7] * ENOUGH, 8, 7, 8, 8, 7)[ENOUGH:])


def test_it_is_trusted_again_when_all_have_answered_for_as_long() -> None:
    assert told(*[7] * ENOUGH, *[8] * ENOUGH)[ENOUGH - 1 :] == [True] * ENOUGH + [False]


def test_another_loss_is_said_at_once_and_the_way_back_when_it_is_certain() -> None:
    suspicion = Suspicion()
    for at_s in (0.0, CERTAIN_S):
        suspicion = suspicion.after({NODE: 7}, nodes(8), at_s)
    for count in (6, 8):
        suspicion = suspicion.after({NODE: count}, nodes(8), CERTAIN_S + PERIOD_S)
        assert "6 of 8" in suspicion.suspects[NODE]


def test_no_answer_is_no_news() -> None:
    assert told(*[7] * ENOUGH, None, None)[-1]
    assert not told(*[8] * ENOUGH, None, None)[-1]
    assert not any(told(8, 7, *[None] * ENOUGH))
    assert all(told(*[7] * ENOUGH, 8, *[None] * ENOUGH)[ENOUGH - 1 :])


def test_a_driver_that_never_answered_for_any_is_not_judged_and_one_that_has_is() -> None:
    assert not any(told(*[0] * 10))
    assert told(8, *[0] * ENOUGH)[-1]


def test_slots_of_a_cpu_and_nodes_that_are_in_no_inventory_are_not_judged() -> None:
    slots = b"accelerators: {kind: cpu, count: 8, memory_gib: 1}"
    text = b"name: c\n" + slots + b"\nnodes: [{name: n, address: 10.0.0.1}]\n"
    suspicion = Suspicion()
    for at_s in (0.0, CERTAIN_S):
        suspicion = suspicion.after({NODE: 1, "10.9.9.9": 1}, parse_inventory(text, "i"), at_s)
    assert suspicion == Suspicion()


@given(answers=st.lists(st.none() | st.integers(0, 9), max_size=30))
def test_no_node_becomes_suspect_by_anything_but_answers_that_are_all_too_low(
    answers: list[int | None],
) -> None:
    """Safety."""
    found = told(*answers)
    if any(found):
        before = answers[: found.index(True) + 1]
        assert len(before) >= ENOUGH
        assert before[-1] is not None
        assert all(count < 8 for count in before[-ENOUGH:] if count is not None)


@given(noise=st.lists(st.none() | st.integers(0, 9), max_size=10), last=st.integers(0, 9))
def test_whatever_came_before_a_steady_answer_decides(noise: list[int | None], last: int) -> None:
    """Liveness."""
    is_known = last > 0 or any(noise)
    found = told(*noise, *[last] * ENOUGH)
    assert found[-1] is (is_known and last < 8)
