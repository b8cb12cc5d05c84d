"""The kinds of FP8 checkpoints, as their config.json describes them.

Read in vLLM 0.32.0, layers/quantization: fbgemm_fp8.py (Meta's build), compressed_tensors/ (Red
Hat's and Nous's), modelopt.py (NVIDIA's).
"""

from collections.abc import Callable, Mapping

from cluster.fitting.keys import Keys
from cluster.fitting.patterns import Match, exact_or_regex, substring_or_wildcard
from cluster.fitting.quantisation import HEAD, BlockScale, InputScale, Quantisation, Scale

#: The matrices of the checkpoint behind a fused one (`packed_modules_mapping` of the models).
FUSED: Mapping[str, tuple[str, ...]] = {
    "qkv_proj": ("q_proj", "k_proj", "v_proj"),
    "gate_up_proj": ("gate_proj", "up_proj"),
}
#: compressed-tensors' words for the first two.
STRATEGIES: Mapping[str, Scale] = {"tensor": "part", "channel": "output"}


def read_quantisation(config: Keys, names: tuple[str, ...]) -> Quantisation | None:
    """What config.json says of quantisation; `names` are all matrices it may quantise.

    Raises ArchitectureUnknown for methods without a formula.
    """
    if not config.has("quantization_config"):
        return None
    found = config.object("quantization_config")
    # ModelOpt's own file has everything one level deeper, and no name.
    inner = found.object("quantization") if found.has("quantization") else found
    method = found.text("quant_method", "modelopt" if inner is not found else None)
    if method not in _READERS:
        raise found.wrong("quant_method", f"is {method!r}, for which there is no formula")
    return _READERS[method](inner, names)


def _read_fbgemm(found: Keys, names: tuple[str, ...]) -> Quantisation:
    """A scale for each output; activations have an upper bound, a parameter of one float."""
    skipped = exact_or_regex(found, "modules_to_not_convert", with_regex=False)
    return Quantisation(
        "fbgemm_fp8", "output", "bound", _plain(skipped, names) | {HEAD}, has_fp8_kv_cache=False
    )


def _read_compressed_tensors(found: Keys, names: tuple[str, ...]) -> Quantisation:
    """vLLM's lm_head is no `Linear`, so a group with that target leaves it as it is."""
    groups = list(found.objects("config_groups"))
    if len(groups) != 1 or groups[0].texts("targets") != ("Linear",):
        raise found.wrong("config_groups", 'must be one group with the targets ["Linear"]')
    skipped = exact_or_regex(found, "ignore", with_regex=True)
    return Quantisation(
        "compressed-tensors",
        _weight_scale(groups[0].object("weights")),
        _activation_scale(groups[0].object("input_activations")),
        _plain(skipped, names) | {HEAD},
        has_fp8_kv_cache=_has_fp8_scheme(found),
    )


def _weight_scale(weights: Keys) -> Scale:
    _require_fp8(weights)
    strategy = weights.text("strategy")
    if strategy == "block":
        return _block(weights)
    if strategy not in STRATEGIES:
        raise weights.wrong("strategy", "must be tensor, channel or block")
    return STRATEGIES[strategy]


def _block(weights: Keys) -> BlockScale:
    sizes = weights.values.get("block_structure")
    if not isinstance(sizes, list) or [type(size) for size in sizes] != [int, int]:
        raise weights.wrong("block_structure", "must be two whole numbers")
    if min(sizes) < 1:
        raise weights.wrong("block_structure", "must be two positive numbers")
    return BlockScale(*sizes)


def _activation_scale(activations: Keys) -> InputScale:
    _require_fp8(activations)
    if activations.flag("dynamic"):
        return "dynamic"
    if activations.text("strategy") != "tensor":
        raise activations.wrong("strategy", "must be tensor where scales are static")
    return "part"


def _require_fp8(found: Keys) -> None:
    if (found.number("num_bits"), found.text("type")) != (8, "float"):
        raise found.wrong("num_bits", "and `type` must be 8 and float: only FP8 has a formula")


def _read_modelopt(found: Keys, names: tuple[str, ...]) -> Quantisation:
    """A weight and an activation scale for each part; lm_head is quantised unless excluded."""
    if found.text("quant_algo").upper() != "FP8":
        raise found.wrong("quant_algo", "must be FP8: nothing else has a formula")
    key = "exclude_modules" if found.has("exclude_modules") else "ignore"
    skipped = substring_or_wildcard(found, key)
    plain = _plain(skipped, (*names, HEAD))
    return Quantisation("modelopt", "part", "part", plain, _has_modelopt_cache(found))


def _has_modelopt_cache(found: Keys) -> bool:
    """`get_kv_cache_quant_algo_string` (torch_utils.py): a scheme counts when static."""
    if _has_fp8_scheme(found):
        return not found.object("kv_cache_scheme").flag("dynamic", default=True)
    algorithm = found.text("kv_cache_quant_algo", "none").upper()
    if algorithm not in ("FP8", "NONE"):
        raise found.wrong("kv_cache_quant_algo", "must be FP8: nothing else has a formula")
    return algorithm == "FP8"


def _has_fp8_scheme(found: Keys) -> bool:
    if not found.has("kv_cache_scheme"):
        return False
    _require_fp8(found.object("kv_cache_scheme"))
    return True


def _plain(skipped: Match, names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name for name in names if skipped(name, _parts(name)))


def _parts(name: str) -> tuple[str, ...]:
    """The checkpoint's names of what is fused under this one."""
    stem, _, last = name.rpartition(".")
    return tuple(f"{stem}.{part}" for part in FUSED.get(last, (last,))) if stem else (name,)


_READERS: Mapping[str, Callable[[Keys, tuple[str, ...]], Quantisation]] = {
    "fbgemm_fp8": _read_fbgemm,
    "compressed-tensors": _read_compressed_tensors,
    "modelopt": _read_modelopt,
}
