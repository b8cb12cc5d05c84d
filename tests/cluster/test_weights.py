"""Weights of ranks and stages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.accelerator import GIB
from cluster.architecture import Architecture, read_architecture
from cluster.fitting.weights import stage_weight_bytes
from cluster.shape import Shape, partition, stages
from tests.cluster.architectures import (
    DEEPSEEK_LITE,
    FP8_MODELOPT,
    LLAMA_3B,
    LLAMA_8B,
    LLAMA_70B,
    LLAMA_405B,
    LLAMA_405B_FP8,
    LLAMA_405B_META,
    QWEN_72B,
    TINY_MIXTRAL,
    Config,
    fp8_parts,
    quantised,
)


def rank_bytes(config: Config, tensor: int = 1, pipeline: int = 1) -> list[int]:
    """What a rank of each stage holds, in 16 bit."""
    architecture = read_architecture(config)
    split = partition(architecture.body.layers, pipeline)
    return [stage_weight_bytes(architecture, stage, tensor, 2) for stage in stages(split)]


@pytest.mark.parametrize(
    ("config", "gib"),
    [
        (LLAMA_405B, 756.0),
        (LLAMA_405B_FP8, 381.9),
        (LLAMA_405B_META, 453.7),
        (LLAMA_70B, 131.4),
        (QWEN_72B, 135.4),
        (LLAMA_8B, 15.0),
        (LLAMA_3B, 6.0),
        (DEEPSEEK_LITE, 29.3),
    ],
)
def test_a_whole_model_has_the_catalogues_weight(config: Config, gib: float) -> None:
    """FP8 with all linears is 381.9 GiB when embedding and head stay in 16 bit; the scales, which
    the catalogue leaves out, are the 0.08 GiB that the tolerance allows beyond rounding.
    """
    assert sum(rank_bytes(config)) / GIB == pytest.approx(gib, abs=0.13)


def test_fp8_without_scales_is_the_catalogues_figure_to_the_digit() -> None:
    parts = quantised(LLAMA_405B, fp8_parts())
    assert f"{sum(rank_bytes(parts)) / GIB:.1f}" == "381.9"


def test_the_head_stays_in_16_bit_unless_modelopt_quantises_it() -> None:
    with_head = quantised(LLAMA_8B, FP8_MODELOPT | {"ignore": []})
    without = quantised(LLAMA_8B, FP8_MODELOPT)
    head = 128_256 * 4096
    assert sum(rank_bytes(without)) - sum(rank_bytes(with_head)) == head - 2 * 4


def test_a_tied_embedding_stands_on_both_ends_of_a_pipeline() -> None:
    one, two = sum(rank_bytes(LLAMA_3B)), sum(rank_bytes(LLAMA_3B, pipeline=2))
    assert two - one == 128_256 * 3072 * 2


def test_mixtral_repeats_both_ends_on_every_stage() -> None:
    one, three = sum(rank_bytes(TINY_MIXTRAL)), sum(rank_bytes(TINY_MIXTRAL, pipeline=3))
    ends = 2 * 1024 * 128 + 128
    assert three - one == 2 * ends * 2


@pytest.mark.parametrize(
    ("layers", "pipeline", "split"),
    [
        (126, 2, (63, 63)),
        (126, 4, (31, 32, 32, 31)),
        (3, 2, (2, 1)),
        (80, 3, (27, 27, 26)),
        (7, 4, (2, 2, 2, 1)),
        (5, 5, (1, 1, 1, 1, 1)),
    ],
)
def test_layers_are_split_as_vllm_splits_them(
    layers: int, pipeline: int, split: tuple[int, ...]
) -> None:
    assert partition(layers, pipeline) == split


@given(layers=st.integers(1, 200), pipeline=st.integers(1, 64))
def test_stages_hold_every_layer_once_and_in_order(layers: int, pipeline: int) -> None:
    split = partition(layers, pipeline)
    found = [layer for stage in stages(split) for layer in stage.layer_numbers]
    assert found == list(range(layers))
    assert max(split) - min(split) <= 1


@given(
    config=st.sampled_from([LLAMA_70B, LLAMA_3B, QWEN_72B, DEEPSEEK_LITE, LLAMA_405B_META]),
    tensor=st.sampled_from([1, 2, 4, 8, 16]),
    pipeline=st.integers(1, 6),
)
def test_all_ranks_together_hold_at_least_the_model(
    config: Config, tensor: int, pipeline: int
) -> None:
    if config is LLAMA_3B and tensor == 16:
        return  # 24 heads
    together = tensor * sum(rank_bytes(config, tensor, pipeline))
    assert together >= sum(rank_bytes(config))


@given(pipeline=st.integers(1, 6), tensor=st.sampled_from([1, 2, 4, 8]))
def test_more_ranks_never_hold_more_each(pipeline: int, tensor: int) -> None:
    fewer, more = (rank_bytes(LLAMA_70B, each, pipeline) for each in (tensor, tensor * 2))
    assert all(less < most for less, most in zip(more, fewer, strict=True))


def test_a_shape_counts_its_accelerators() -> None:
    assert Shape(8, 4).accelerators == 32
    assert str(Shape(8, 4)) == "8 x 4"


def test_quantised_names_are_those_of_the_layers() -> None:
    architecture: Architecture = read_architecture(LLAMA_405B_META)
    assert architecture.quantisation is not None
    assert architecture.quantisation.covers("model.layers.1.mlp.down_proj")
    assert not architecture.quantisation.covers("model.layers.0.mlp.down_proj")
    assert not architecture.quantisation.covers("model.layers.1.self_attn.qkv_proj")
