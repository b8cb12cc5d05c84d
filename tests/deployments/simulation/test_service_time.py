"""From what was measured to what a step takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.calibration import Batch, Cache, Calibration, Prefill
from deployments.simulation.service_time import Limits, ServiceTime, service_time
from tests.deployments.calibrations import Law, exact

LIMITS = Limits(Batch(tokens=2048, sequences=32), Cache(blocks=64, block_tokens=128), 90.0)


def of(calibration: Calibration) -> ServiceTime:
    return service_time(calibration, LIMITS)


def test_an_engine_that_follows_the_formula_is_found_again() -> None:
    law = Law()
    time = of(law.calibration())
    assert time.context_token_s == pytest.approx(law.context_token_s, rel=1e-6)
    assert time.prompt_token_s == pytest.approx(law.prompt_token_s, rel=1e-6)
    assert time.prompt_pair_s == pytest.approx(law.prompt_pair_s, rel=1e-6)
    assert time.step_s[0] == pytest.approx(law.step_s)
    assert time.step_s[3] == pytest.approx(law.step_s + 3 * law.sequence_s)
    assert time.overhead_s == law.overhead_s


def test_beyond_the_last_point_the_line_goes_on() -> None:
    law = Law()
    assert of(law.calibration()).step_s[32] == pytest.approx(law.step_s + 32 * law.sequence_s)


def test_limits_are_those_of_the_engine_that_is_simulated() -> None:
    time = of(Law().calibration())
    assert (len(time.step_s), time.cache, time.start_s) == (33, LIMITS.cache, 40.0)
    running = Law().calibration().model_copy(update={"start": None})
    assert of(running).start_s == 90.0


def test_work_on_a_prompt_in_parts_is_the_work_on_it_whole() -> None:
    time = of(Law().calibration())
    parts = time.prompt_s(0, 700) + time.prompt_s(700, 1900) + time.prompt_s(1900, 4000)
    assert parts == pytest.approx(time.prompt_s(0, 4000))


@given(st.lists(st.floats(1e-4, 100), min_size=2, max_size=8))
def test_no_measurement_makes_time_negative(seconds: list[float]) -> None:
    points = [
        Prefill(tokens=16 << number, seconds=exact(each)) for number, each in enumerate(seconds)
    ]
    calibration = Law().calibration().model_copy(update={"prefill": tuple(points)})
    time = of(calibration)
    assert time.prompt_token_s >= 0
    assert time.prompt_pair_s >= 0
    assert all(each >= 0 for each in time.step_s)
