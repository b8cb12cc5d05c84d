"""config.json files for the tests: the catalogue's models in full size, and tiny relatives of them
that an engine can run.
"""

from typing import Any

Config = dict[str, Any]

LLAMA: Config = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "torch_dtype": "bfloat16",
    "max_position_embeddings": 131_072,
    "vocab_size": 128_256,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "tie_word_embeddings": False,
    "rope_theta": 500_000.0,
    "rope_scaling": {
        "factor": 8.0,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
}
LLAMA_405B: Config = LLAMA | {
    "num_hidden_layers": 126,
    "hidden_size": 16_384,
    "num_attention_heads": 128,
    "intermediate_size": 53_248,
}
LLAMA_70B: Config = LLAMA | {
    "num_hidden_layers": 80,
    "hidden_size": 8192,
    "num_attention_heads": 64,
    "intermediate_size": 28_672,
}
LLAMA_8B: Config = LLAMA | {
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "intermediate_size": 14_336,
}
LLAMA_3B: Config = LLAMA | {
    "num_hidden_layers": 28,
    "hidden_size": 3072,
    "num_attention_heads": 24,
    "intermediate_size": 8192,
    "tie_word_embeddings": True,
}
QWEN_72B: Config = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "torch_dtype": "bfloat16",
    "num_hidden_layers": 80,
    "hidden_size": 8192,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "intermediate_size": 29_568,
    "vocab_size": 152_064,
    "max_position_embeddings": 32_768,
    "use_sliding_window": False,
    "sliding_window": 131_072,
    "max_window_layers": 80,
    "tie_word_embeddings": False,
    "rope_theta": 1_000_000.0,
}
DEEPSEEK_LITE: Config = {
    "architectures": ["DeepseekV2ForCausalLM"],
    "model_type": "deepseek_v2",
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "torch_dtype": "bfloat16",
    "num_hidden_layers": 27,
    "hidden_size": 2048,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "intermediate_size": 10_944,
    "moe_intermediate_size": 1408,
    "vocab_size": 102_400,
    "max_position_embeddings": 163_840,
    "n_routed_experts": 64,
    "num_experts_per_tok": 6,
    "n_shared_experts": 2,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "kv_lora_rank": 512,
    "q_lora_rank": None,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "topk_method": "greedy",
    "norm_topk_prob": False,
    "scoring_func": "softmax",
    "n_group": 1,
    "topk_group": 1,
    "routed_scaling_factor": 1.0,
    "rope_theta": 10_000,
    "rope_scaling": {
        "beta_fast": 32,
        "beta_slow": 1,
        "factor": 40,
        "mscale": 0.707,
        "mscale_all_dim": 0.707,
        "original_max_position_embeddings": 4096,
        "type": "yarn",
    },
    "tie_word_embeddings": False,
}

#: Red Hat's and Nous's builds: every linear layer of the blocks, a scale for each output.
FP8_ALL_LINEARS: Config = {
    "quant_method": "compressed-tensors",
    "format": "float-quantized",
    "ignore": ["lm_head"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {
                "num_bits": 8,
                "type": "float",
                "strategy": "channel",
                "dynamic": False,
                "symmetric": True,
            },
            "input_activations": {
                "num_bits": 8,
                "type": "float",
                "strategy": "token",
                "dynamic": True,
                "symmetric": True,
            },
        }
    },
}
#: NVIDIA's: the same layers, a scale for each matrix and its activations, and an FP8 KV cache.
FP8_MODELOPT: Config = {
    "quant_method": "modelopt",
    "quant_algo": "FP8",
    "ignore": ["lm_head"],
    "kv_cache_scheme": {"num_bits": 8, "type": "float", "dynamic": False},
}


def fp8_fbgemm(layers: int) -> Config:
    """Meta's: the MLPs of all layers but the first and the last."""
    attention = [f"self_attn.{name}_proj" for name in "qkvo"]
    mlp = [f"mlp.{name}_proj" for name in ("gate", "up", "down")]
    kept = [f"model.layers.{layer}.{name}" for layer in range(layers) for name in attention]
    kept += [f"model.layers.{layer}.{name}" for layer in (0, layers - 1) for name in mlp]
    return {
        "quant_method": "fbgemm_fp8",
        "activation_scale_ub": 1200.0,
        "modules_to_not_convert": [*kept, "lm_head"],
    }


def fp8_parts(strategy: str = "tensor", block: list[int] | None = None) -> Config:
    """FP8 with one static scale for each matrix, or with scales for blocks."""
    group = FP8_ALL_LINEARS["config_groups"]["group_0"]
    weights = group["weights"] | {"strategy": strategy}
    inputs = group["input_activations"]
    if block is None:
        inputs = inputs | {"strategy": "tensor", "dynamic": False}
    else:
        weights |= {"block_structure": block}
        inputs = inputs | {"strategy": "group", "group_size": block[-1]}
    group = group | {"weights": weights, "input_activations": inputs}
    return FP8_ALL_LINEARS | {"config_groups": {"group_0": group}}


def quantised(config: Config, quantisation: Config) -> Config:
    return config | {"quantization_config": quantisation}


LLAMA_405B_FP8 = quantised(LLAMA_405B, FP8_ALL_LINEARS)
LLAMA_405B_META = quantised(LLAMA_405B, fp8_fbgemm(126))
LLAMA_70B_FP8 = quantised(LLAMA_70B, FP8_ALL_LINEARS)

#: Small enough for an engine on CPU; 1,000 tokens are padded to 1,024.
TINY_LLAMA: Config = LLAMA | {
    "num_hidden_layers": 3,
    "hidden_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "intermediate_size": 192,
    "vocab_size": 1000,
    "max_position_embeddings": 1024,
    "rope_scaling": None,
}
TINY_MISTRAL: Config = TINY_LLAMA | {
    "architectures": ["MistralForCausalLM"],
    "model_type": "mistral",
    "sliding_window": 200,
}
TINY_TIED: Config = TINY_LLAMA | {
    "tie_word_embeddings": True,
    "attention_bias": True,
    "mlp_bias": True,
    "num_key_value_heads": 1,
}
TINY_QWEN: Config = QWEN_72B | {
    "num_hidden_layers": 2,
    "hidden_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 192,
    "vocab_size": 777,
    "max_position_embeddings": 1024,
    "max_window_layers": 2,
}
TINY_MIXTRAL: Config = TINY_LLAMA | {
    "architectures": ["MixtralForCausalLM"],
    "model_type": "mixtral",
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "sliding_window": None,
}
TINY_DEEPSEEK: Config = DEEPSEEK_LITE | {
    "num_hidden_layers": 3,
    "hidden_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "intermediate_size": 192,
    "moe_intermediate_size": 64,
    "vocab_size": 1000,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 1024,
    "rope_scaling": None,
}
#: Queries compressed too, a bias for each expert, experts in every second layer.
TINY_DEEPSEEK_DEEP: Config = TINY_DEEPSEEK | {
    "q_lora_rank": 48,
    "topk_method": "noaux_tc",
    "scoring_func": "sigmoid",
    "n_shared_experts": 1,
    "moe_layer_freq": 2,
}
