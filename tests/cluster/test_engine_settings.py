"""Engine arguments of a fleet file, read as vLLM reads them."""

from typing import Any

import pytest

from cluster.architecture import read_architecture
from cluster.errors import SettingsUnknown
from cluster.fitting.engine_settings import EngineSettings, engine_settings, read_size
from tests.cluster.architectures import FP8_MODELOPT, LLAMA_8B, TINY_LLAMA, quantised


def test_nothing_asked_is_vllms_choice() -> None:
    assert engine_settings(1024, {}) == EngineSettings(1024)


def test_what_is_asked_is_read() -> None:
    asked = {
        "gpu_memory_utilization": 0.5,
        "kv_cache_memory_bytes": "64M",
        "kv_cache_dtype": "fp8",
        "block_size": 32,
        "dtype": "half",
        "allow_deprecated_quantization": True,
        "enforce_eager": True,
        "enable_lora": True,
        "enable_expert_parallel": False,
        "speculative_config": {"method": "ngram"},
    }
    assert engine_settings(1024, asked) == EngineSettings(
        1024,
        0.5,
        64 << 20,
        "fp8",
        32,
        "half",
        allow_deprecated_quantization=True,
        uncounted=("enable_lora", "speculative_config"),
    )


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (1024, 1024),
        ("1024", 1024),
        (" 64M ", 64 << 20),
        ("64m", 64_000_000),
        ("2G", 2 << 30),
        ("1.5g", 1_500_000_000),
        ("25.6k", 25_600),
        ("1T", 1 << 40),
    ],
)
def test_sizes_are_read_as_vllm_reads_them(text: object, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1", "1.5G", "1.5", "1 G", "1KB", "1e9", True, 1.5, ()])
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(SettingsUnknown, match="`kv_cache_memory_bytes`"):
        read_size(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gpu_memory_utilization", 0),
        ("gpu_memory_utilization", 1.1),
        ("gpu_memory_utilization", "0.9"),
        ("block_size", 0),
        ("block_size", "16"),
        ("dtype", "int8"),
        ("dtype", ["half"]),
        ("kv_cache_dtype", "nvfp4"),
        ("kv_cache_memory_bytes", "much"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(SettingsUnknown, match=f"`{name}`"):
        engine_settings(1024, {name: value})


@pytest.mark.parametrize(
    ("stored", "asked", "size"),
    [
        ("bfloat16", "auto", 2),
        ("float16", "auto", 2),
        ("float32", "auto", 2),
        ("float32", "float32", 4),
        ("bfloat16", "float", 4),
        ("float32", "half", 2),
    ],
)
def test_float32_is_served_only_when_it_is_asked_for(stored: str, asked: str, size: int) -> None:
    architecture = read_architecture(TINY_LLAMA | {"torch_dtype": stored})
    assert engine_settings(1024, {"dtype": asked}).dtype_bytes(architecture) == size


@pytest.mark.parametrize(
    ("asked", "plain", "fp8"), [("auto", 2, 1), ("bfloat16", 2, 2), ("fp8_e5m2", 1, 1)]
)
def test_a_checkpoints_wish_for_an_fp8_cache_is_heard(asked: str, plain: int, fp8: int) -> None:
    wanted = engine_settings(1024, {"kv_cache_dtype": asked})
    assert wanted.kv_dtype_bytes(read_architecture(LLAMA_8B)) == plain
    assert wanted.kv_dtype_bytes(read_architecture(quantised(LLAMA_8B, FP8_MODELOPT))) == fp8
