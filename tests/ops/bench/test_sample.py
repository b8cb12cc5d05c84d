import math
from dataclasses import replace

import pytest

from ops.bench.load import Measured, Tally
from ops.bench.sample import Mark, Sample, Samples, sample
from ops.bench.shape import Shape

UNARY = Shape(stream=False, connections=64)
STREAM = Shape(stream=True, connections=64)
START = Mark(
    gateway_s=1.0,
    family_s=1.5,
    load_s=2.0,
    upstream_s=3.0,
    gateway_core_s=9.0,
    load_core_s=10.0,
)


def measured(closed: Mark, tally: Tally) -> Measured[Mark]:
    return Measured(tally, elapsed_s=2.0, opened=START, closed=closed)


def test_a_window_becomes_rates_costs_and_percentiles() -> None:
    tally = Tally(replies=400, total_s=[0.001, 0.002, 0.004])
    closed = Mark(
        gateway_s=2.0,
        family_s=2.75,
        load_s=2.5,
        upstream_s=3.25,
        gateway_core_s=10.75,
        load_core_s=11.0,
    )

    one = sample("flotilla", UNARY, measured(closed, tally), shares_core=True)

    assert one.replies_per_s == 200.0
    assert one.cpu_s_per_1000_replies == 2.5
    assert one.total_p50_ms == pytest.approx(2.0)
    assert one.total_p99_ms == pytest.approx(4.0)
    assert (one.gateway_busy, one.rig_busy) == (0.5, 0.375)
    assert (one.gateway_foreign, one.rig_foreign) == (0.25, 0.125)
    assert math.isnan(one.chunks_per_s)
    assert math.isnan(one.first_p50_ms)


def test_the_chunks_of_unfinished_streams_count_as_they_arrive() -> None:
    one = sample("x", STREAM, measured(START, Tally(chunks=100)), shares_core=True)

    assert one.chunks_per_s == 50.0
    assert one.replies_per_s == 0.0


def busy(*, gateway: float, rig: float, foreign: float = 0.0) -> Sample:
    closed = replace(
        START,
        gateway_s=START.gateway_s + 2 * gateway,
        load_s=START.load_s + 2 * rig,
        load_core_s=START.load_core_s + 2 * (rig + foreign),
    )
    return sample("x", UNARY, measured(closed, Tally()), shares_core=True)


def test_the_rig_is_the_bound_when_it_is_full_and_the_gateway_is_not() -> None:
    assert busy(gateway=0.5, rig=0.95).is_rig_bound
    assert not busy(gateway=0.95, rig=0.95).is_rig_bound
    assert not busy(gateway=0.95, rig=0.3).is_rig_bound


def test_a_core_filled_by_other_work_binds_only_a_rig_that_needs_its_share() -> None:
    assert busy(gateway=0.5, rig=0.5, foreign=0.5).is_rig_bound
    assert not busy(gateway=0.5, rig=0.02, foreign=0.98).is_rig_bound


def test_rounds_are_asked_for_together() -> None:
    rounds = [busy(gateway=0.5, rig=share) for share in (0.95, 0.2, 0.97)]
    samples = Samples(rounds)

    assert samples.is_rig_bound("x", UNARY)
    assert samples.figure("x", UNARY, "rig_busy").median == pytest.approx(0.95)
    assert samples.of("x", STREAM) == ()
