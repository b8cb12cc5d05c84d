"""What several gateways tell becomes one list: the oldest of all, and none is counted twice."""

from hypothesis import given
from hypothesis import strategies as st

from serving.in_flight import MOST_TOLD, InFlight, RequestInFlight, RequestPhase, together


def request(age_s: float, id_: str = "") -> RequestInFlight:
    return RequestInFlight(
        id_, "key", "tenant", "m", "m", "m.0#1", RequestPhase.STREAM, age_s, 3, 1
    )


ages = st.lists(st.floats(0, 600), max_size=MOST_TOLD)


@given(st.lists(st.tuples(ages, st.integers(0, 1_000)), max_size=4))
def test_the_oldest_of_all_are_told_oldest_first(gateways: list[tuple[list[float], int]]) -> None:
    parts = [
        InFlight(tuple(map(request, sorted(told, reverse=True))), len(told) + untold)
        for told, untold in gateways
    ]
    made = together(parts, ["g9"])
    every = sorted((age for told, _ in gateways for age in told), reverse=True)
    assert [each.age_s for each in made.requests] == every[:MOST_TOLD]
    assert made.total == sum(part.total for part in parts)
    assert made.untold == made.total - len(made.requests) >= 0
    assert made.silent == ("g9",)
