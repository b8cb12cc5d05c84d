"""The engine arguments that decide what memory holds, read as vLLM 0.32.0 reads them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.architecture import DTYPES, Architecture, Dtype
from cluster.errors import SettingsUnknown

#: The share of an accelerator that the catalogue's shapes were computed with; vLLM's own default
#: is 0.92.
GPU_MEMORY_UTILIZATION = 0.9
DTYPE_BYTES: Mapping[Dtype, int] = {"float32": 4, "float16": 2, "bfloat16": 2}
#: What vLLM serves a float32 checkpoint in when nothing else is asked for (`_resolve_auto_dtype`,
#: config/model.py; the first dtype that CUDA and CPU list).
DOWNCAST: Dtype = "bfloat16"
KV_DTYPE_BYTES: Mapping[str, int] = {
    "float16": 2,
    "bfloat16": 2,
    "fp8": 1,
    "fp8_e4m3": 1,
    "fp8_e5m2": 1,
}
FP8_BYTES = 1
AUTO = "auto"
#: Arguments that change what memory holds in ways for which there is no formula here.
UNCOUNTED = (
    "cpu_offload_gb",
    "data_parallel_size",
    "decode_context_parallel_size",
    "enable_eplb",
    "enable_expert_parallel",
    "enable_lora",
    "kv_cache_dtype_skip_layers",
    "num_gpu_blocks_override",
    "quantization",
    "speculative_config",
)
#: `human_readable_int` (utils/argparse_utils.py): small letters are decimal, capitals binary.
UNITS: Mapping[str, int] = {
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "K": 1 << 10,
    "M": 1 << 20,
    "G": 1 << 30,
    "T": 1 << 40,
}
SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)([kKmMgGtT]?)", re.ASCII)
MAX_BLOCK_TOKENS = 1 << 16
MAX_BATCH_TOKENS = 1 << 24


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What was asked of the engine; None leaves it to vLLM."""

    window_tokens: int
    gpu_memory_utilization: float = GPU_MEMORY_UTILIZATION
    kv_cache_memory_bytes: int | None = None
    kv_cache_dtype: str = AUTO
    block_size: int | None = None
    dtype: str = AUTO
    max_num_batched_tokens: int | None = None
    #: Layers of each stage (VLLM_PP_LAYER_PARTITION).
    layer_partition: tuple[int, ...] | None = None
    #: Whether vLLM may load what it has declared deprecated.
    allow_deprecated_quantization: bool = False
    #: Arguments given that the formulas leave out.
    uncounted: tuple[str, ...] = ()

    def dtype_bytes(self, architecture: Architecture) -> int:
        """Bytes of an element of an unquantised weight."""
        if self.dtype != AUTO:
            return DTYPE_BYTES[DTYPES[self.dtype]]
        is_float32 = architecture.dtype == "float32"
        return DTYPE_BYTES[DOWNCAST if is_float32 else architecture.dtype]

    def kv_dtype_bytes(self, architecture: Architecture) -> int:
        """Bytes of an element of the KV cache; a checkpoint may ask for FP8."""
        if self.kv_cache_dtype != AUTO:
            return KV_DTYPE_BYTES[self.kv_cache_dtype]
        quantisation = architecture.quantisation
        if quantisation is not None and quantisation.has_fp8_kv_cache:
            return FP8_BYTES
        return self.dtype_bytes(architecture)


def engine_settings(window_tokens: int, engine: Mapping[str, Any]) -> EngineSettings:
    """From the `engine:` of a fleet file. Raises SettingsUnknown naming the argument."""
    memory = engine.get("kv_cache_memory_bytes")
    return EngineSettings(
        window_tokens=window_tokens,
        gpu_memory_utilization=_share(engine),
        kv_cache_memory_bytes=None if memory is None else read_size(memory),
        kv_cache_dtype=_choice(engine, "kv_cache_dtype", (AUTO, *KV_DTYPE_BYTES)),
        block_size=_count(engine, "block_size", MAX_BLOCK_TOKENS),
        max_num_batched_tokens=_count(engine, "max_num_batched_tokens", MAX_BATCH_TOKENS),
        dtype=_choice(engine, "dtype", (AUTO, *DTYPES)),
        allow_deprecated_quantization=engine.get("allow_deprecated_quantization") is True,
        uncounted=tuple(name for name in UNCOUNTED if engine.get(name) not in (None, False)),
    )


def read_size(value: Any) -> int:
    """Bytes, written as a number or as `512M`; decimals only with decimal units, as in vLLM."""
    found = SIZE.fullmatch(str(value).strip())
    if found is None or isinstance(value, bool):
        raise SettingsUnknown(f"`kv_cache_memory_bytes` is no size: {value!r}")
    number, unit = found.groups()
    if "." not in number:
        return int(number) * UNITS.get(unit, 1)
    if not unit.islower():
        raise SettingsUnknown(
            f"`kv_cache_memory_bytes`: decimals go with k, m, g and t only, not in {value!r}"
        )
    return int(float(number) * UNITS[unit])


def _share(engine: Mapping[str, Any]) -> float:
    value = engine.get("gpu_memory_utilization", GPU_MEMORY_UTILIZATION)
    if type(value) not in (int, float) or not 0 < value <= 1:
        raise SettingsUnknown("`gpu_memory_utilization` must be above 0 and at most 1")
    return float(value)


def _count(engine: Mapping[str, Any], name: str, most: int) -> int | None:
    value = engine.get(name)
    if value is None:
        return None
    if type(value) is not int or not 1 <= value <= most:
        raise SettingsUnknown(f"`{name}` must be a number from 1 to {most:,}")
    return value


def _choice(engine: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str:
    value = engine.get(name, AUTO)
    if value not in choices:
        raise SettingsUnknown(f"`{name}` must be one of {', '.join(choices)} for the fit check")
    return str(value)
