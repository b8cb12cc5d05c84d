"""What is read from a config.json, and what is refused by name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.architecture import read_architecture
from cluster.errors import ArchitectureUnknown
from cluster.fitting.attention import GroupedAttention, LatentAttention
from cluster.fitting.quantisation import HEAD, BlockScale, Quantisation
from tests.cluster.architectures import (
    DEEPSEEK_LITE,
    FP8_ALL_LINEARS,
    FP8_MODELOPT,
    LLAMA_3B,
    LLAMA_8B,
    LLAMA_70B,
    LLAMA_405B,
    LLAMA_405B_META,
    QWEN_72B,
    TINY_DEEPSEEK,
    TINY_LLAMA,
    TINY_MIXTRAL,
    TINY_QWEN,
    TINY_TIED,
    Config,
    fp8_parts,
    quantised,
)


@pytest.mark.parametrize(
    ("config", "billions"),
    [
        (LLAMA_405B, 405.853),
        (LLAMA_70B, 70.554),
        (LLAMA_8B, 8.030),
        (LLAMA_3B, 3.213),
        (QWEN_72B, 72.706),
        (DEEPSEEK_LITE, 15.706),
        (LLAMA_405B_META, 405.853),
    ],
)
def test_the_parameters_are_those_that_publishers_state(config: Config, billions: float) -> None:
    assert round(read_architecture(config).parameters / 1e9, 3) == billions


def test_the_facts_of_a_llama() -> None:
    found = read_architecture(LLAMA_8B)
    assert found.model_class == "LlamaForCausalLM"
    assert found.window_tokens == 131_072
    assert found.dtype == "bfloat16"
    assert found.body.attention == GroupedAttention(32, 8, 128)
    assert found.quantisation is None


def test_biases_and_ties_are_read() -> None:
    found = read_architecture(TINY_TIED)
    assert found.body.is_tied
    assert found.body.attention == GroupedAttention(4, 1, 32, True, True)


def test_a_llama_without_kv_heads_has_one_for_each_head() -> None:
    config = {key: value for key, value in TINY_LLAMA.items() if key != "num_key_value_heads"}
    assert read_architecture(config).body.attention == GroupedAttention(4, 4, 32)


def test_qwen_divides_its_hidden_size_whatever_head_dim_says() -> None:
    found = read_architecture(TINY_QWEN | {"head_dim": 999})
    assert found.body.attention == GroupedAttention(4, 2, 32, has_qkv_bias=True)


def test_the_facts_of_a_deepseek() -> None:
    found = read_architecture(DEEPSEEK_LITE)
    assert found.body.attention == LatentAttention(16, None, 512, 128, 64, 128)
    assert found.window_tokens == 163_840


def test_deepseeks_head_is_never_tied() -> None:
    tied = read_architecture(TINY_DEEPSEEK | {"tie_word_embeddings": True})
    assert tied == read_architecture(TINY_DEEPSEEK)


def test_the_older_name_of_the_dtype_counts_too() -> None:
    renamed = TINY_LLAMA | {"torch_dtype": None, "dtype": "half"}
    assert read_architecture(renamed).dtype == "float16"


@pytest.mark.parametrize(
    ("config", "quantisation", "scale", "inputs"),
    [
        (LLAMA_405B_META, "fbgemm_fp8", "output", "bound"),
        (quantised(LLAMA_8B, FP8_ALL_LINEARS), "compressed-tensors", "output", "dynamic"),
        (quantised(LLAMA_8B, fp8_parts()), "compressed-tensors", "part", "part"),
        (quantised(LLAMA_8B, FP8_MODELOPT), "modelopt", "part", "part"),
        (
            quantised(LLAMA_8B, fp8_parts("block", [128, 64])),
            "compressed-tensors",
            BlockScale(128, 64),
            "dynamic",
        ),
    ],
)
def test_the_kinds_of_fp8_are_told_apart(
    config: Config, quantisation: str, scale: object, inputs: str
) -> None:
    found = _quantisation(config)
    assert (found.method, found.scale, found.input_scale) == (quantisation, scale, inputs)


def test_a_checkpoint_may_ask_for_an_fp8_cache() -> None:
    with_scheme = FP8_ALL_LINEARS | {"kv_cache_scheme": {"num_bits": 8, "type": "float"}}
    older = {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}
    assert _quantisation(quantised(LLAMA_8B, with_scheme)).has_fp8_kv_cache
    assert _quantisation(quantised(LLAMA_8B, FP8_MODELOPT)).has_fp8_kv_cache
    assert _quantisation(quantised(LLAMA_8B, older)).has_fp8_kv_cache
    assert not _quantisation(quantised(LLAMA_8B, FP8_ALL_LINEARS)).has_fp8_kv_cache
    dynamic = {"kv_cache_scheme": {"num_bits": 8, "type": "float", "dynamic": True}}
    assert not _quantisation(quantised(LLAMA_8B, FP8_MODELOPT | dynamic)).has_fp8_kv_cache


def test_modelopt_leaves_out_whole_branches() -> None:
    left_out = ["lm_head", "model.layers.1.mlp*", "model.layers.2.self_attn.o_proj"]
    found = _quantisation(quantised(TINY_LLAMA, FP8_MODELOPT | {"ignore": left_out}))
    assert found.plain == {
        HEAD,
        "model.layers.1.mlp.gate_up_proj",
        "model.layers.1.mlp.down_proj",
        "model.layers.2.self_attn.o_proj",
    }


def test_patterns_leave_matrices_out() -> None:
    found = _quantisation(
        quantised(TINY_LLAMA, FP8_ALL_LINEARS | {"ignore": ["re:.*o_proj$", "lm_head"]})
    )
    assert found.plain == {HEAD, *(f"model.layers.{n}.self_attn.o_proj" for n in range(3))}


WRONG: list[tuple[Config, str]] = [
    ({"architectures": ["GPT2LMHeadModel"]}, "`architectures` must name one of"),
    ({"architectures": None}, "`architectures` must name one of"),
    ({"architectures": "LlamaForCausalLM"}, "`architectures` must be a list"),
    ({"model_type": "mistral"}, "`model_type` must be llama for a LlamaForCausalLM"),
    ({"num_hidden_layers": None}, "`num_hidden_layers` is missing"),
    ({"num_hidden_layers": 10**6}, "`num_hidden_layers` must be a whole number from 1 to 1,000"),
    ({"hidden_size": -1}, "`hidden_size` must be a whole number"),
    ({"hidden_size": 1.5}, "`hidden_size` must be a whole number"),
    ({"hidden_size": True}, "`hidden_size` must be a whole number"),
    ({"num_key_value_heads": 3}, "`num_key_value_heads` must divide 4 attention heads"),
    ({"head_dim": None, "hidden_size": 130}, "`num_attention_heads` must divide the hidden size"),
    ({"vocab_size": "1000"}, "`vocab_size` must be a whole number"),
    ({"tie_word_embeddings": 1}, "`tie_word_embeddings` must be true or false"),
    ({"torch_dtype": None}, "`torch_dtype` is missing"),
    ({"torch_dtype": "int8"}, "`torch_dtype` must be one of"),
    ({"torch_dtype": 16}, "`torch_dtype` must be text"),
    ({"hidden_act": "gelu"}, "`hidden_act` is 'gelu', which is not supported"),
    ({"sliding_window": 4096}, "`sliding_window` is 4096, which is not supported"),
    ({"layer_types": ["full_attention", "sliding_attention"]}, "`layer_types` has other kinds"),
    ({"layer_types": [1]}, "`layer_types` must hold texts"),
    ({"rope_scaling": [1]}, "`rope_scaling` must be an object"),
    ({"rope_scaling": {"type": "linear", "factor": "2"}}, "`rope_scaling.factor` must be a number"),
    ({"max_position_embeddings": 10**9}, "`max_position_embeddings` must be a whole number"),
    ({"quantization_config": {"quant_method": "gptq"}}, "'gptq', for which there is no formula"),
    ({"quantization_config": {}}, "`quantization_config.quant_method` is missing"),
]
FP8_WRONG: list[tuple[Config, str]] = [
    (FP8_ALL_LINEARS | {"config_groups": {}}, "`quantization_config.config_groups` must be one"),
    (FP8_ALL_LINEARS | {"ignore": ["re:(a*)*"]}, "has a pattern that is too complex"),
    (FP8_ALL_LINEARS | {"ignore": ["re:a*b*c*d*"]}, "has a pattern that is too complex"),
    (FP8_ALL_LINEARS | {"ignore": ["re:*"]}, "has a pattern that is none"),
    (
        FP8_ALL_LINEARS | {"ignore": ["model.layers.0.self_attn.q_proj"]},
        "names some of the matrices that vLLM fuses into one, not all",
    ),
    (FP8_MODELOPT | {"ignore": ["*a*b*c*"]}, "has a pattern with more than 3 stars"),
    (FP8_MODELOPT | {"quant_algo": "NVFP4"}, "`quantization_config.quant_algo` must be FP8"),
    (
        FP8_MODELOPT | {"kv_cache_scheme": None, "kv_cache_quant_algo": "NVFP4"},
        "`quantization_config.kv_cache_quant_algo` must be FP8",
    ),
    (
        FP8_ALL_LINEARS | {"kv_cache_scheme": {"num_bits": 4, "type": "float"}},
        "kv_cache_scheme.num_bits` and `type` must be 8 and float",
    ),
    (fp8_parts("group"), "weights.strategy` must be tensor, channel or block"),
    (fp8_parts("block", [0, 1]), "weights.block_structure` must be two positive numbers"),
    (fp8_parts("block", [1]), "weights.block_structure` must be two whole numbers"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_what_has_no_formula_is_refused_by_name(change: Config, message: str) -> None:
    with pytest.raises(ArchitectureUnknown) as refusal:
        read_architecture(TINY_LLAMA | change)
    assert message in str(refusal.value)


@pytest.mark.parametrize(("quantisation", "message"), FP8_WRONG)
def test_fp8_without_a_formula_is_refused_by_name(quantisation: Config, message: str) -> None:
    with pytest.raises(ArchitectureUnknown) as refusal:
        read_architecture(quantised(TINY_LLAMA, quantisation))
    assert message in str(refusal.value)


def test_only_fp8_has_a_formula() -> None:
    four_bits = fp8_parts()
    four_bits["config_groups"]["group_0"]["weights"]["num_bits"] = 4
    with pytest.raises(ArchitectureUnknown, match="only FP8 has a formula"):
        read_architecture(quantised(TINY_LLAMA, four_bits))


def test_scales_of_tokens_have_to_be_dynamic() -> None:
    static = fp8_parts()
    static["config_groups"]["group_0"]["input_activations"]["strategy"] = "token"
    with pytest.raises(ArchitectureUnknown, match="must be tensor where scales are static"):
        read_architecture(quantised(TINY_LLAMA, static))


@pytest.mark.parametrize("config", [TINY_MIXTRAL, TINY_DEEPSEEK])
def test_quantised_experts_and_latent_attention_are_refused(config: Config) -> None:
    with pytest.raises(ArchitectureUnknown, match="no formula for experts or latent attention"):
        read_architecture(quantised(config, FP8_ALL_LINEARS))


def test_a_tied_head_cannot_be_quantised() -> None:
    with pytest.raises(ArchitectureUnknown, match="a head that is the embedding too"):
        read_architecture(quantised(TINY_TIED, FP8_MODELOPT | {"ignore": []}))


@pytest.mark.parametrize("key", ["q_lora_rank", "n_shared_experts"])
def test_a_deepseek_has_to_say_what_transformers_would_guess(key: str) -> None:
    config = {name: value for name, value in TINY_DEEPSEEK.items() if name != key}
    with pytest.raises(ArchitectureUnknown, match=f"`{key}` is missing"):
        read_architecture(config)


def test_a_qwen_with_a_sliding_window_is_refused() -> None:
    with pytest.raises(ArchitectureUnknown, match="`use_sliding_window` is true"):
        read_architecture(TINY_QWEN | {"use_sliding_window": True})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    base=st.sampled_from([TINY_LLAMA, TINY_QWEN, TINY_MIXTRAL, TINY_DEEPSEEK, LLAMA_405B_META]),
    data=st.data(),
)
def test_whatever_a_key_holds_it_is_read_or_refused(base: Config, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from([*base, "quantization_config", "rope_parameters"]))
    value: Any = data.draw(JSON)
    assert _is_read_or_refused(base | {key: value})


@given(value=JSON, key=st.sampled_from([*FP8_ALL_LINEARS, *FP8_MODELOPT, "quantization"]))
def test_whatever_quantisation_says_it_is_read_or_refused(key: str, value: Any) -> None:
    for known in (FP8_ALL_LINEARS, FP8_MODELOPT):
        assert _is_read_or_refused(quantised(TINY_LLAMA, known | {key: value}))


def _is_read_or_refused(config: Config) -> bool:
    """Whether nothing else happens than an answer or a refusal that names a key."""
    try:
        return read_architecture(config).parameters > 0
    except ArchitectureUnknown as refusal:
        return str(refusal).startswith("config.json: `")


def _quantisation(config: Config) -> Quantisation:
    found = read_architecture(config).quantisation
    assert found is not None
    return found
