"""The largest window that vLLM accepts for a model: `_get_and_verify_max_len` (config/model.py) and
`derive_max_model_len_and_key` (transformers_utils/model_arch_config_convertor.py) of vLLM 0.32.0.
"""

from cluster.fitting.keys import Keys

#: Keys that may bound a window; the smallest counts.
BOUNDS = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "max_target_positions",
    "max_sequence_length",
    "max_seq_length",
    "seq_len",
)
#: This one counts instead of them.
OVERRIDE = "model_max_length"
#: With these, `max_position_embeddings` is the stretched window already.
STRETCHED = frozenset(
    {"su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling"}
)
#: What vLLM assumes of a model that says nothing.
SILENT_TOKENS = 2048
MAX_FACTOR = 1_000


def read_window(keys: Keys) -> int:
    """A window beyond this is refused at start."""
    return int(_own_window(keys) * _stretch(keys))


def _own_window(keys: Keys) -> int:
    if keys.has(OVERRIDE):
        return keys.number(OVERRIDE)
    return min((keys.number(key) for key in BOUNDS if keys.has(key)), default=SILENT_TOKENS)


def _stretch(keys: Keys) -> float:
    """The factor of position scalings that config.json has not applied itself."""
    rope = keys.object("rope_parameters" if keys.has("rope_parameters") else "rope_scaling")
    kind = rope.text("rope_type", rope.text("type", "default"))
    factor = rope.values.get("factor")
    if kind in STRETCHED or factor is None:
        return 1.0
    if type(factor) not in (int, float) or not 1 <= factor <= MAX_FACTOR:
        raise rope.wrong("factor", f"must be a number from 1 to {MAX_FACTOR:,}")
    return float(factor)
