"""What happens next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.simulation.agenda import Agenda


@given(st.lists(st.sampled_from([0.0, 1.0, 2.5, 7.0]), max_size=20))
def test_time_never_goes_back_and_equals_happen_as_they_were_planned(times: list[float]) -> None:
    agenda, happened = Agenda(), []
    for number, at_s in enumerate(times):
        agenda.at(at_s, lambda number=number: happened.append((agenda.now_s, number)))  # type: ignore[misc]
    while agenda.step():
        pass
    assert happened == sorted((at_s, number) for number, at_s in enumerate(times))


def test_nothing_is_planned_for_a_moment_that_has_passed() -> None:
    agenda = Agenda()
    agenda.at(5.0, lambda: None)
    assert agenda.step()
    with pytest.raises(ValueError, match=r"4.0 s has passed: it is 5.0 s"):
        agenda.at(4.0, lambda: None)
