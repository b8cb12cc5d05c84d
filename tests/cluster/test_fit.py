"""The catalogue's placement table and its refusals, and what holds for every fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.accelerator import CPU_KIND, GIB, Accelerator
from cluster.architecture import read_architecture
from cluster.fit import EngineSettings, Fit, Misfit, Shape, fit
from tests.cluster.architectures import (
    DEEPSEEK_LITE,
    FP8_ALL_LINEARS,
    FP8_MODELOPT,
    LLAMA_3B,
    LLAMA_8B,
    LLAMA_70B,
    LLAMA_70B_FP8,
    LLAMA_405B,
    LLAMA_405B_FP8,
    LLAMA_405B_META,
    QWEN_72B,
    TINY_LLAMA,
    Config,
    fp8_parts,
    quantised,
)

FULL = 131_072
H100 = Accelerator("h100-sxm-80gb", int(79.6 * GIB))

#: Model, shape, settings; then weights and cache in GiB on each GPU, tokens of the replica in
#: thousands, full sequences.
TABLE = [
    (LLAMA_405B_FP8, (8, 1), {}, (47.7, 19.4, 323, 2.5)),
    (LLAMA_405B_META, (8, 1), {}, (56.7, 10.4, 174, 1.3)),
    (LLAMA_405B_META, (8, 1), {"kv_cache_dtype": "fp8"}, (56.7, 10.4, 347, 2.6)),
    (LLAMA_405B, (8, 2), {}, (47.2, 19.9, 662, 5.1)),
    (LLAMA_70B, (4, 1), {}, (32.9, 35.3, 462, 3.5)),
    (QWEN_72B, (4, 1), {}, (33.9, 34.3, 449, 3.4)),
    (LLAMA_70B_FP8, (2, 1), {}, (33.8, 34.3, 225, 1.7)),
    (LLAMA_70B_FP8, (4, 1), {}, (16.9, 51.2, 671, 5.1)),
    (LLAMA_8B, (1, 1), {}, (15.0, 53.2, 436, 3.3)),
    (LLAMA_3B, (1, 1), {}, (6.0, 62.2, 582, 4.4)),
    (DEEPSEEK_LITE, (1, 1), {}, (29.3, 38.9, 1340, 10)),
]


def ask(
    config: Config, shape: tuple[int, int], settings: EngineSettings, on: Accelerator = H100
) -> Fit | Misfit:
    return fit(read_architecture(config), Shape(*shape), settings, on)


def settings(window_tokens: int = FULL, **given: object) -> EngineSettings:
    """Of the catalogue's table; Meta's build starts only when vLLM may load it."""
    return EngineSettings(window_tokens, allow_deprecated_quantization=True, **given)  # type: ignore[arg-type]


def fitting(config: Config, shape: tuple[int, int], wanted: EngineSettings) -> Fit:
    found = ask(config, shape, wanted)
    assert isinstance(found, Fit), found
    return found


def refused(
    config: Config, shape: tuple[int, int], wanted: EngineSettings, on: Accelerator = H100
) -> Misfit:
    found = ask(config, shape, wanted, on)
    assert isinstance(found, Misfit), found
    return found


@pytest.mark.parametrize(("config", "shape", "given", "row"), TABLE)
def test_the_catalogues_placement_table_comes_out(
    config: Config, shape: tuple[int, int], given: dict[str, str], row: tuple[float, ...]
) -> None:
    """To what it prints. The table leaves out scales: 405B in FP8 has 0.03 GiB of them a GPU."""
    window = min(FULL, read_architecture(config).window_tokens)
    found = fitting(config, shape, settings(window, **given))
    weights, cache, thousand_tokens, sequences = row
    assert found.weight_bytes / GIB == pytest.approx(weights, abs=0.08)
    assert found.kv_bytes / GIB == pytest.approx(cache, abs=0.05)
    assert found.kv_tokens / 1000 == pytest.approx(thousand_tokens, rel=0.005)
    assert found.sequences_at(FULL) == pytest.approx(sequences, rel=0.03)


def test_a_window_of_18432_tokens_fits_17_and_a_half_times_beside_405b_in_fp8() -> None:
    assert fitting(LLAMA_405B_FP8, (8, 1), settings()).sequences_at(18_432) == pytest.approx(
        17.5, abs=0.05
    )


def test_four_stages_of_405b_are_uneven_and_the_fullest_counts() -> None:
    """The table spreads weights evenly and prints 23.6 GiB, 2.9M tokens, 22 sequences."""
    found = fitting(LLAMA_405B, (8, 4), settings())
    assert [stage.layers for stage in found.stages] == [31, 32, 32, 31]
    assert found.weight_bytes / GIB == pytest.approx(23.75, abs=0.01)
    mean_bytes = sum(stage.weight_bytes for stage in found.stages) / 4
    assert mean_bytes / GIB == pytest.approx(23.6, abs=0.05)
    assert found.kv_tokens == pytest.approx(2_843_000, rel=0.001)
    assert found.sequences_at(FULL) == pytest.approx(21.7, abs=0.05)


def test_405b_in_bf16_does_not_fit_one_node() -> None:
    assert refused(LLAMA_405B, (8, 1), settings()).reasons == (
        "94.5 GiB of weights and 4.5 GiB for the engine itself on each accelerator, "
        "71.6 GiB usable (79.6 GiB x 0.90)",
    )


@pytest.mark.parametrize(
    ("config", "shape", "left_gib", "thousand_tokens"),
    [
        (LLAMA_70B, (2, 1), 2.4, 16),
        (QWEN_72B, (2, 1), 0.4, 2.8),
        (LLAMA_70B_FP8, (1, 1), 0.4, 1.4),
    ],
)
def test_a_cache_below_any_useful_window_is_refused_and_says_what_fits(
    config: Config, shape: tuple[int, int], left_gib: float, thousand_tokens: float
) -> None:
    misfit = refused(config, shape, settings(32_768))
    assert len(misfit.reasons) == 1
    assert misfit.reasons[0].startswith("a window of 32,768 tokens needs 32,768 tokens of KV cache")
    assert f"= {left_gib} GiB at " in misfit.reasons[0]
    assert (misfit.longest_context_tokens or 0) / 1000 == pytest.approx(thousand_tokens, rel=0.03)


def test_the_window_that_is_offered_instead_fits() -> None:
    longest = refused(LLAMA_70B, (2, 1), settings()).longest_context_tokens
    assert longest is not None
    assert fitting(LLAMA_70B, (2, 1), settings(longest)).longest_context_tokens == longest
    assert refused(LLAMA_70B, (2, 1), settings(longest + 1)).longest_context_tokens == longest


def test_ranks_beyond_the_kv_heads_are_noted() -> None:
    assert fitting(LLAMA_70B, (16, 1), settings()).notes == (
        "2 of a stage's 16 accelerators each keep the same KV cache: "
        "beyond tensor 8 it does not shrink",
    )


def test_latent_attention_does_not_shrink_with_ranks() -> None:
    alone, shared = (fitting(DEEPSEEK_LITE, (n, 1), settings()) for n in (1, 2))
    assert alone.stages[0].kv_bytes_per_token == shared.stages[0].kv_bytes_per_token == 31_104
    assert "beyond tensor 1 it does not shrink" in shared.notes[0]


def test_all_reasons_come_at_once() -> None:
    wanted = settings(262_144, layer_partition=(40, 41))
    assert refused(LLAMA_70B, (3, 1), wanted).reasons == (
        "tensor 3 does not divide 64 attention heads",
        "tensor 3 does not divide the MLP's width, 28,672",
        "the layer partition (40, 41) does not give 1 stages layers",
        "the layer partition (40, 41) does not add up to 80 layers",
        "a window of 262,144 tokens exceeds the model's, 131,072",
    )


def test_memory_and_window_are_both_said() -> None:
    assert len(refused(LLAMA_405B, (8, 1), settings(262_144)).reasons) == 2
    misfit = refused(LLAMA_70B, (2, 1), settings(262_144))
    assert len(misfit.reasons) == 2
    assert misfit.longest_context_tokens == 15_904


def test_more_stages_than_layers_and_ranks_that_cut_no_vocabulary_are_refused() -> None:
    config = TINY_LLAMA | {"num_attention_heads": 28, "num_key_value_heads": 7}
    reasons = refused(config, (7, 4), settings(256)).reasons
    assert "pipeline 4 exceeds 3 layers" in reasons
    assert "tensor 7 does not divide the padded vocabulary, 1,024" in reasons


def test_ranks_and_kv_heads_that_do_not_go_together_are_refused() -> None:
    config = TINY_LLAMA | {"num_attention_heads": 12, "num_key_value_heads": 3}
    reasons = refused(config, (2, 1), settings(256)).reasons
    assert reasons == ("tensor 2 and 3 KV heads do not divide one another",)


def test_blocks_of_scales_that_ranks_would_cut_are_refused() -> None:
    in_blocks = quantised(QWEN_72B, fp8_parts("block", [128, 128]))
    assert refused(in_blocks, (8, 1), settings(32_768)).reasons == (
        "tensor 8 leaves 3,696 outputs of mlp.gate_up_proj on each accelerator, "
        "which blocks of 128 do not divide",
        "tensor 8 leaves 3,696 inputs of mlp.down_proj on each accelerator, "
        "which blocks of 128 do not divide",
    )
    # 29,568 is 231 blocks of 128: no even number of ranks can share them.
    roomy = Accelerator("h200-141gb", 139 * GIB)
    assert isinstance(ask(in_blocks, (1, 1), settings(1024), roomy), Fit)
    assert isinstance(ask(in_blocks, (2, 1), settings(1024), roomy), Misfit)


def test_metas_build_needs_a_word_since_vllm_has_deprecated_its_format() -> None:
    assert refused(LLAMA_405B_META, (8, 1), EngineSettings(FULL)).reasons == (
        "vLLM takes fbgemm_fp8 weights only with `allow_deprecated_quantization: true`",
    )


def test_fp8_that_the_cpu_build_cannot_load_is_refused_there() -> None:
    slot = Accelerator(CPU_KIND, 8 * GIB)
    wanted = settings(256, kv_cache_memory_bytes=4 << 20)
    assert refused(quantised(TINY_LLAMA, FP8_MODELOPT), (1, 1), wanted, slot).reasons == (
        "vLLM has no kernels for modelopt weights on CPU",
    )
    assert isinstance(ask(quantised(TINY_LLAMA, FP8_ALL_LINEARS), (1, 1), wanted, slot), Fit)


def test_a_stated_cache_is_what_the_engine_gets_and_has_to_fit() -> None:
    asked = settings(kv_cache_memory_bytes=20 * GIB)
    assert fitting(LLAMA_70B, (4, 1), asked).kv_tokens == 20 * GIB // 81_920
    reason = refused(LLAMA_70B, (2, 1), settings(kv_cache_memory_bytes=20 * GIB)).reasons[0]
    assert reason == (
        "65.7 GiB of weights, 20.0 GiB of KV cache and 3.5 GiB for the engine itself on each "
        "accelerator, 79.6 GiB usable"
    )
    too_small = refused(LLAMA_70B, (4, 1), settings(kv_cache_memory_bytes=GIB)).reasons[0]
    assert too_small.endswith("13,088 fit: 1.0 GiB at 81,920 bytes a token")


def test_a_cpu_slot_holds_worker_engine_weights_and_a_stated_cache() -> None:
    slot = Accelerator(CPU_KIND, 2 * GIB)
    window = settings(1024, kv_cache_memory_bytes=4 << 20)
    assert isinstance(ask(TINY_LLAMA, (1, 1), window, slot), Fit)
    small = Accelerator(CPU_KIND, GIB)
    assert "for the engine itself" in refused(TINY_LLAMA, (1, 1), window, small).reasons[0]


def test_a_cpu_slot_without_a_stated_cache_is_refused() -> None:
    slot = Accelerator(CPU_KIND, 8 * GIB)
    assert refused(TINY_LLAMA, (1, 1), settings(1024), slot).reasons == (
        "a slot of a CPU machine needs `kv_cache_memory_bytes`: "
        "vLLM would take a share of the whole machine",
    )


def test_what_is_left_out_is_said() -> None:
    found = fitting(LLAMA_8B, (1, 1), settings(uncounted=("enable_lora",)))
    assert found.notes == ("not counted: enable_lora",)


MODELS = st.sampled_from([LLAMA_405B_FP8, LLAMA_70B, LLAMA_70B_FP8, LLAMA_8B, DEEPSEEK_LITE])
SHAPES = st.tuples(st.sampled_from([1, 2, 4, 8]), st.integers(1, 5))


@given(config=MODELS, shape=SHAPES, gib=st.integers(10, 200), more_gib=st.integers(0, 100))
def test_more_memory_never_holds_fewer_tokens(
    config: Config, shape: tuple[int, int], gib: int, more_gib: int
) -> None:
    less = ask(config, shape, settings(1024), Accelerator("some", gib * GIB))
    more = ask(config, shape, settings(1024), Accelerator("more", (gib + more_gib) * GIB))
    if isinstance(less, Fit):
        assert isinstance(more, Fit)
        assert more.kv_tokens >= less.kv_tokens


@given(config=MODELS, shape=SHAPES, gib=st.integers(10, 200))
def test_what_fits_stays_within_memory(config: Config, shape: tuple[int, int], gib: int) -> None:
    found = ask(config, shape, settings(1024), Accelerator("some", gib * GIB))
    if isinstance(found, Fit):
        for stage in found.stages:
            cache = found.kv_tokens * stage.kv_bytes_per_token
            assert stage.weight_bytes + cache + found.reserve_bytes <= gib * GIB
        assert 1024 <= found.longest_context_tokens <= found.kv_tokens


@given(config=MODELS, shape=SHAPES, window=st.integers(1, 200_000), gib=st.integers(1, 200))
def test_every_question_has_an_answer_with_reasons_or_room(
    config: Config, shape: tuple[int, int], window: int, gib: int
) -> None:
    found = ask(config, shape, settings(window), Accelerator("some", gib * GIB))
    if isinstance(found, Misfit):
        assert found.reasons
        assert len(set(found.reasons)) == len(found.reasons)
    else:
        assert found.sequences_at(window) > 1
        assert found.longest_context_tokens >= window
