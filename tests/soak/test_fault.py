"""The schedule keeps its rules whatever the dice say."""

import random
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.soak.fault import Fault, Kind, Layer, schedule
from tests.soak.pace import SHORT, Pace, full

SEEDS = st.integers(0, 2**32)


def drawn(pace: Pace, seed: int) -> list[Fault]:
    return schedule(pace, random.Random(seed))  # noqa: S311


def of_layer(faults: list[Fault], layer: Layer) -> list[Fault]:
    return [each for each in faults if each.kind.layer is layer]


@given(SEEDS)
def test_a_layer_has_one_fault_at_a_time_and_the_first_gateway_none(seed: int) -> None:
    pace = full(3)
    faults = drawn(pace, seed)
    for layer in Layer:
        for one, next_ in pairwise(of_layer(faults, layer)):
            assert one.at_s + one.lasts_s <= next_.at_s
    assert all(each.target for each in of_layer(faults, Layer.GATEWAY))
    assert all(pace.calm_s <= each.at_s for each in faults)
    assert all(each.at_s + each.lasts_s <= pace.seconds - pace.rest_s for each in faults)


@given(SEEDS)
def test_a_round_has_every_kind_once(seed: int) -> None:
    faults = drawn(SHORT, seed)
    assert sorted(each.kind.words for each in faults) == sorted(kind.words for kind in Kind)


@given(SEEDS)
def test_half_an_hour_has_every_kind_several_times(seed: int) -> None:
    faults = drawn(full(30), seed)
    assert all(sum(each.kind is kind for each in faults) >= 3 for kind in Kind)


def test_the_same_seed_breaks_the_same() -> None:
    pace = replace(full(3), fault_every_s=2.0)
    assert drawn(pace, 5) == drawn(pace, 5)
