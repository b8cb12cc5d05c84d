"""Estimates from data sheets: named as such, and of the right size."""

from dataclasses import replace

import pytest

from cluster.accelerator import Accelerator, accelerator
from cluster.shape import Shape
from deployments.calibration import Batch, Calibration
from deployments.catalogue import entry
from deployments.engine_batch import engine_batch
from deployments.facts import facts_of
from deployments.need import Need, needs_of
from deployments.roofline import estimated
from tests.deployments.fleets import fleet_of
from tests.deployments.test_plan import KNOWN, models, nodes

BATCH = Batch(tokens=8192, sequences=256)


def h100() -> Accelerator:
    found = accelerator("h100-sxm-80gb")
    assert found is not None
    return found


def need(name: str, body: str = "{}") -> Need:
    fleet, inventory = fleet_of(f"models:\n  {name}: {body}\n"), nodes(8)
    return needs_of(fleet, inventory, facts_of(fleet, inventory))[name]


def estimate(name: str, body: str = "{}") -> Calibration:
    found = estimated(need(name, body), h100(), BATCH)
    assert found is not None
    return found


def test_an_estimate_says_that_it_is_one() -> None:
    found = estimate("llama3.1-8b-instruct")
    assert found.basis == "estimated"
    assert "nothing was measured" in found.origin


def test_a_step_reads_the_weights_and_a_prompt_multiplies_them() -> None:
    found = estimate("llama3.1-8b-instruct")
    # 15 GiB at 70 % of 3.35 TB/s, and 2 x 8 billion operations a token at half of 989 TFLOP/s.
    assert 0.006 < found.decode[0].seconds.median < 0.012
    per_s = 8192 / found.prefill[2].seconds.median
    assert 20_000 < per_s < 31_000


def test_a_step_multiplies_while_it_reads() -> None:
    took_s = {p.sequences: p.seconds.median for p in estimate("llama3.1-8b-instruct").decode}
    # Kernels of these products took 1.25 times as long for 256 tokens as for one on an H100.
    assert took_s[1] == pytest.approx(took_s[64], rel=0.01)
    assert took_s[256] < 1.3 * took_s[1]


def test_more_accelerators_take_less_time() -> None:
    one = estimate("llama3.1-70b-instruct-fp8", "{tensor: 2}")
    two = estimate("llama3.1-70b-instruct-fp8", "{tensor: 8}")
    assert two.decode[0].seconds.median < one.decode[0].seconds.median
    assert two.prefill[-1].seconds.median < one.prefill[-1].seconds.median


def test_of_routed_experts_a_token_is_multiplied_with_few() -> None:
    name = "deepseek-coder-v2-lite-instruct"
    known = entry(name)
    assert known is not None
    sparse = need(name)
    dense = replace(sparse, facts=replace(sparse.facts, config={}))
    one, other = (estimated(each, h100(), BATCH) for each in (sparse, dense))
    assert one is not None
    assert other is not None
    assert one.prefill[-1].seconds.median < 0.5 * other.prefill[-1].seconds.median


def test_nothing_is_estimated_from_nothing() -> None:
    fleet, inventory = models(m="tensor: 1"), nodes(1)
    unknown = {"m": replace(KNOWN, architecture=None)}
    assert estimated(needs_of(fleet, inventory, unknown)["m"], h100(), BATCH) is None
    other = Accelerator("tpu-v9", 1 << 40)
    assert estimated(need("llama3.1-8b-instruct"), other, BATCH) is None


def test_an_engines_batch_is_the_fleets_word_or_vllms_default() -> None:
    cpu, a100 = Accelerator("cpu", 1 << 32), accelerator("a100-80gb")
    assert a100 is not None
    assert engine_batch({}, Shape(), h100()) == Batch(tokens=8192, sequences=1024)
    assert engine_batch({}, Shape(), a100) == Batch(tokens=2048, sequences=256)
    assert engine_batch({}, Shape(2, 1), cpu) == Batch(tokens=4096, sequences=256)
    said = {"max_num_seqs": 16, "max_num_batched_tokens": 512}
    assert engine_batch(said, Shape(), h100()) == Batch(tokens=512, sequences=16)
