"""How each model class reads its config.json, as its class in vLLM 0.32.0 does.

Only classes whose formulas were checked against vLLM are read; a key that would change a formula
is refused by name rather than passed over. Defaults are those of transformers 5 where models rely
on them; a key whose default no model has is required.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from cluster.fitting.attention import Attention, GroupedAttention, LatentAttention
from cluster.fitting.body import Body
from cluster.fitting.keys import Keys
from cluster.fitting.mlp import Dense, Experts, Mlp

#: Every layer is looked at several times: a bound on time, too.
MAX_LAYERS = 1_000
MAX_HEADS = 1 << 14


def _read_llama(keys: Keys) -> Body:
    _refuse_windows_of_layers(keys)
    return _llama(keys)


def _read_mistral(keys: Keys) -> Body:
    """Llama's layers, which may all look back over one window (models/mistral.py)."""
    keys.refuse("layer_types")
    keys.refuse("llama_4_scaling")
    window = keys.number("sliding_window", least=0) if keys.has("sliding_window") else 0
    return replace(_llama(keys), window_tokens=window or None)


def _llama(keys: Keys) -> Body:
    has_bias = keys.flag("attention_bias") or keys.flag("bias")
    attention = _grouped(
        keys,
        default_kv_heads=_heads(keys),
        head_dim=_head_dim(keys),
        has_qkv_bias=keys.flag("qkv_bias", has_bias),
        has_output_bias=has_bias,
    )
    width = keys.number("intermediate_size")
    return _body(keys, attention, Dense(width, keys.flag("mlp_bias")))


def _read_qwen2(keys: Keys) -> Body:
    """Its class has a bias on queries, keys and values, and no head_dim of its own."""
    if keys.flag("use_sliding_window"):
        raise keys.wrong("use_sliding_window", "is true, which is not supported")
    keys.refuse("qk_norm", False)
    keys.refuse("dual_chunk_attention_config")
    attention = _grouped(keys, head_dim=_divided_head_dim(keys), has_qkv_bias=True)
    return _body(keys, attention, Dense(keys.number("intermediate_size")))


def _read_mixtral(keys: Keys) -> Body:
    _refuse_windows_of_layers(keys)
    experts = Experts(keys.number("num_local_experts"), keys.number("intermediate_size"))
    attention = _grouped(keys, head_dim=_head_dim(keys))
    return _body(keys, attention, experts, is_whole_on_stages=True)


def _read_deepseek_v2(keys: Keys) -> Body:
    """The head is never the embedding in this class, whatever config.json says."""
    keys.refuse("attention_bias", False)
    keys.refuse("index_topk")
    for key in ("q_lora_rank", "n_shared_experts"):
        if key not in keys.values:
            raise keys.wrong(key, "is missing; null is a value too")
    attention = LatentAttention(
        heads=_heads(keys),
        query_rank=keys.number("q_lora_rank") if keys.has("q_lora_rank") else None,
        kv_rank=keys.number("kv_lora_rank"),
        plain_dim=keys.number("qk_nope_head_dim"),
        rotary_dim=keys.number("qk_rope_head_dim"),
        value_dim=keys.number("v_head_dim"),
    )
    return _body(keys, attention, _deepseek_mlp(keys), can_tie=False)


def _deepseek_mlp(keys: Keys) -> Mlp:
    width = keys.number("moe_intermediate_size")
    return Experts(
        count=keys.number("n_routed_experts"),
        width=width,
        shared_width=width * keys.number("n_shared_experts", 0, least=0, most=MAX_LAYERS),
        has_correction_bias=keys.text("topk_method", "") == "noaux_tc",
        dense=Dense(keys.number("intermediate_size")),
        first_layer=keys.number("first_k_dense_replace", 0, least=0),
        every=keys.number("moe_layer_freq", 1),
    )


def _body(
    keys: Keys,
    attention: Attention,
    mlp: Mlp,
    *,
    can_tie: bool = True,
    is_whole_on_stages: bool = False,
) -> Body:
    return Body(
        layers=keys.number("num_hidden_layers", most=MAX_LAYERS),
        hidden=keys.number("hidden_size"),
        vocab=keys.number("vocab_size"),
        attention=attention,
        mlp=mlp,
        is_tied=can_tie and keys.flag("tie_word_embeddings"),
        is_whole_on_stages=is_whole_on_stages,
    )


def _grouped(
    keys: Keys,
    *,
    head_dim: int,
    default_kv_heads: int | None = None,
    has_qkv_bias: bool = False,
    has_output_bias: bool = False,
) -> GroupedAttention:
    kv_heads = keys.number("num_key_value_heads", default_kv_heads, most=MAX_HEADS)
    if _heads(keys) % kv_heads:
        raise keys.wrong("num_key_value_heads", f"must divide {_heads(keys)} attention heads")
    return GroupedAttention(_heads(keys), kv_heads, head_dim, has_qkv_bias, has_output_bias)


def _heads(keys: Keys) -> int:
    return keys.number("num_attention_heads", most=MAX_HEADS)


def _head_dim(keys: Keys) -> int:
    return keys.number("head_dim") if keys.has("head_dim") else _divided_head_dim(keys)


def _divided_head_dim(keys: Keys) -> int:
    hidden, heads = keys.number("hidden_size"), _heads(keys)
    if hidden % heads:
        raise keys.wrong("num_attention_heads", f"must divide the hidden size, {hidden:,}")
    return hidden // heads


def _refuse_windows_of_layers(keys: Keys) -> None:
    """Sliding windows group the cache in ways for which there is no formula here."""
    keys.refuse("sliding_window", 0)
    if any(kind != "full_attention" for kind in keys.texts("layer_types")):
        raise keys.wrong("layer_types", "has other kinds than full_attention, not supported")


#: Each class of vLLM with the `model_type` that transformers builds its config by.
CLASSES: Mapping[str, tuple[str, Callable[[Keys], Body]]] = {
    "LlamaForCausalLM": ("llama", _read_llama),
    "MistralForCausalLM": ("mistral", _read_mistral),
    "Qwen2ForCausalLM": ("qwen2", _read_qwen2),
    "MixtralForCausalLM": ("mixtral", _read_mixtral),
    "DeepseekV2ForCausalLM": ("deepseek_v2", _read_deepseek_v2),
}
