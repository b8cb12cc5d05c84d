"""A limit is divided by what gateways want: nobody's small want is less for another's large one."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serving.limits.division import divide

WANTS = st.dictionaries(st.text(max_size=3), st.floats(0, 1), min_size=1, max_size=6)


@given(WANTS, st.floats(0, 1))
@example({"": 5e-324}, 1.0)
def test_the_parts_are_the_whole_and_none_is_less_than_a_fair_want(
    wants: dict[str, float], capacity: float
) -> None:
    parts = divide(capacity, wants)
    assert sum(parts.values()) == pytest.approx(capacity)
    for name, part in parts.items():
        assert part >= min(wants[name], capacity / len(wants)) - 1e-9


def test_what_nobody_wants_goes_to_who_wants_most_and_a_part_to_all() -> None:
    assert divide(1.0, {"a": 0.2, "b": 0.0}) == pytest.approx({"a": 0.9, "b": 0.1})
    assert divide(1.0, {"a": 0.0, "b": 0.0}) == {"a": 0.5, "b": 0.5}


def test_who_wants_little_gets_it_and_the_others_divide_the_rest() -> None:
    parts = divide(1.0, {"a": 0.1, "b": 0.9, "c": 0.5})
    assert parts == pytest.approx({"a": 0.1, "b": 0.45, "c": 0.45})
