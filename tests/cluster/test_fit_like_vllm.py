"""The fit check against vLLM 0.32.0 itself, byte for byte and block for block.

Engines: real ones on CPU with random weights. Blueprints: vLLM's own model classes without memory
behind them, in the catalogue's full sizes and shapes and in FP8. One process measures them all.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cluster.accelerator import CPU_KIND, GIB, Accelerator
from cluster.architecture import read_architecture
from cluster.errors import SettingsUnknown
from cluster.fit import Fit, Misfit, Shape, engine_settings, fit
from cluster.fitting.engine_settings import read_size
from serving.replica.engine import CPU_ENVIRONMENT
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
    TINY_DEEPSEEK,
    TINY_DEEPSEEK_DEEP,
    TINY_LLAMA,
    TINY_MISTRAL,
    TINY_MIXTRAL,
    TINY_QWEN,
    TINY_TIED,
    Config,
    fp8_parts,
    quantised,
)

ROOT = Path(__file__).parents[2]
DEMO: Config = json.loads((ROOT / "deployments" / "demo" / "model" / "config.json").read_text())
#: Two minutes on two quiet cores, most of it imports of vLLM.
DEADLINE_S = 600
#: More than any of these needs: what is compared here is what they hold, not whether they fit.
PLENTY_BYTES = 1024 * GIB
WINDOW_TOKENS = 256
CACHE = {"kv_cache_memory_bytes": 4 << 20}

OFFERED = "a token more than the longest window"
#: Each engine takes several seconds, one with workers of its own half a minute; blueprints have the
#: shapes that these leave out.
EVERY_DAY = frozenset(
    (
        "Llama in bfloat16",
        "a sliding window",
        "DeepSeek with compressed queries",
        "the demo model as it is served",
        "the longest window that fits",
        OFFERED,
    )
)

pytestmark = pytest.mark.timeout(DEADLINE_S + 60)


@dataclass(frozen=True)
class Case:
    """A model in a shape, with arguments for the engine."""

    config: Config
    tensor: int = 1
    pipeline: int = 1
    window_tokens: int = WINDOW_TOKENS
    options: Mapping[str, Any] = field(default_factory=lambda: CACHE)

    def expected(self, kind: str) -> Fit | Misfit:
        return fit(
            read_architecture(self.config),
            Shape(self.tensor, self.pipeline),
            engine_settings(self.window_tokens, self.options),
            Accelerator(kind, PLENTY_BYTES),
        )

    def fitting(self, kind: str) -> Fit:
        found = self.expected(kind)
        assert isinstance(found, Fit), found
        return found

    def to_json(self) -> dict[str, Any]:
        case = asdict(self)
        window = {"max_model_len": case.pop("window_tokens")}
        return {**case, "options": {**window, **self.options}}


ENGINES = {
    "Llama in bfloat16": Case(TINY_LLAMA),
    "Llama in float32": Case(TINY_LLAMA, options=CACHE | {"dtype": "float32"}),
    "a float32 checkpoint, served in 16 bit": Case(TINY_LLAMA | {"torch_dtype": "float32"}),
    "Llama with biases and tied embeddings": Case(TINY_TIED),
    "two ranks, KV heads copied": Case(TINY_TIED, tensor=2),
    "two uneven stages": Case(TINY_LLAMA, pipeline=2),
    "blocks of 64": Case(TINY_LLAMA, options=CACHE | {"block_size": 64}),
    "a cache in FP8": Case(TINY_LLAMA, options=CACHE | {"kv_cache_dtype": "fp8"}),
    "a window between two blocks": Case(TINY_LLAMA, window_tokens=300),
    "weights in FP8": Case(quantised(TINY_LLAMA, FP8_ALL_LINEARS)),
    "Qwen": Case(TINY_QWEN),
    "Mixtral": Case(TINY_MIXTRAL),
    "Mistral without a sliding window": Case(TINY_MISTRAL | {"sliding_window": None}),
    "a sliding window": Case(
        TINY_MISTRAL, window_tokens=1024, options=CACHE | {"max_num_batched_tokens": 256}
    ),
    "a sliding window that no request fills": Case(
        TINY_MISTRAL, window_tokens=256, options=CACHE | {"max_num_batched_tokens": 512}
    ),
    "the least memory for a sliding window": Case(
        TINY_MISTRAL,
        window_tokens=1024,
        options={"kv_cache_memory_bytes": 6 * 98_304, "max_num_batched_tokens": 256},
    ),
    "DeepSeek": Case(TINY_DEEPSEEK),
    "DeepSeek with compressed queries": Case(TINY_DEEPSEEK_DEEP),
    "the demo model as it is served": Case(
        DEMO, window_tokens=8192, options={"kv_cache_memory_bytes": 64 << 20, "dtype": "float32"}
    ),
    "the longest window that fits": Case(
        TINY_LLAMA, window_tokens=384, options={"kv_cache_memory_bytes": 4 * 98_304}
    ),
}
REFUSED_ENGINES = {
    OFFERED: Case(TINY_LLAMA, window_tokens=385, options={"kv_cache_memory_bytes": 4 * 98_304}),
    "too little memory for a sliding window": Case(
        TINY_MISTRAL,
        window_tokens=1024,
        options={"kv_cache_memory_bytes": 5 * 98_304, "max_num_batched_tokens": 256},
    ),
    "a window beyond the model's": Case(TINY_LLAMA, window_tokens=1025),
}

FBGEMM = {"allow_deprecated_quantization": True}
SOME_LEFT_OUT = FP8_MODELOPT | {"ignore": ["lm_head", "model.layers.1.*", "*self_attn*"]}
HEAD_QUANTISED = FP8_MODELOPT | {"ignore": ["model.layers.0.self_attn.o_proj"]}
BY_PATTERN = FP8_ALL_LINEARS | {"ignore": ["re:.*down_proj", "model.layers.2.self_attn.o_proj"]}
TINY_FP8 = TINY_LLAMA | {"intermediate_size": 256, "head_dim": 64}
BLUEPRINTS = {
    "405B FP8, 8 x 1": Case(LLAMA_405B_FP8, 8, options={}),
    "405B FP8 of Meta, 8 x 1": Case(LLAMA_405B_META, 8, options=FBGEMM),
    "405B, 8 x 2": Case(LLAMA_405B, 8, 2, options={}),
    "405B, 8 x 4": Case(LLAMA_405B, 8, 4, options={}),
    "405B, 16 x 1": Case(LLAMA_405B, 16, options={}),
    "70B, 4 x 1": Case(LLAMA_70B, 4, options={}),
    "70B FP8, 2 x 1": Case(LLAMA_70B_FP8, 2, options={}),
    "70B FP8 of NVIDIA, 4 x 1": Case(quantised(LLAMA_70B, FP8_MODELOPT), 4, options={}),
    "70B FP8 with static scales, 2 x 1": Case(quantised(LLAMA_70B, fp8_parts()), 2, options={}),
    "70B FP8 in blocks, 2 x 1": Case(
        quantised(LLAMA_70B, fp8_parts("block", [128, 128])), 2, options={}
    ),
    "72B, 4 x 1": Case(QWEN_72B, 4, options={}),
    "72B FP8, 8 x 1": Case(quantised(QWEN_72B, FP8_ALL_LINEARS), 8, options={}),
    "8B, 1 x 1": Case(LLAMA_8B, options={}),
    "3B, tied over three stages": Case(LLAMA_3B, 2, 3, options={}),
    "DeepSeek Lite, 1 x 1": Case(DEEPSEEK_LITE, options={}),
    "DeepSeek Lite, 2 x 4": Case(DEEPSEEK_LITE, 2, 4, options={}),
    "DeepSeek with compressed queries, 4 x 2": Case(TINY_DEEPSEEK_DEEP, 4, 2, options={}),
    "Mixtral, 2 x 3": Case(TINY_MIXTRAL, 2, 3, options={}),
    "Mixtral, tied, 1 x 2": Case(TINY_MIXTRAL | {"tie_word_embeddings": True}, 1, 2, options={}),
    "ModelOpt, some matrices left out": Case(quantised(TINY_FP8, SOME_LEFT_OUT), options={}),
    "ModelOpt, the head quantised": Case(quantised(TINY_FP8, HEAD_QUANTISED), options={}),
    "compressed-tensors, left out by pattern": Case(quantised(TINY_FP8, BY_PATTERN), options={}),
}
REFUSED_BLUEPRINTS = {
    "blocks of 128 in a width of 3,696": Case(
        quantised(QWEN_72B, fp8_parts("block", [128, 128])), 8, options={}
    ),
    "Meta's build without a word": Case(LLAMA_405B_META, 8, options={}),
}

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32_768}
WINDOWS = {
    "llama3": LLAMA_8B,
    "DeepSeek's yarn": DEEPSEEK_LITE,
    "the demo model": DEMO,
    "yarn": QWEN_72B | {"rope_scaling": YARN, "max_position_embeddings": 131_072},
    "yarn, window not stretched": QWEN_72B | {"rope_scaling": YARN},
    "linear": TINY_LLAMA | {"rope_scaling": {"type": "linear", "factor": 2.5}},
    "dynamic": TINY_LLAMA | {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}},
    "a word of its own": TINY_LLAMA | {"model_max_length": 4096},
    "two bounds": TINY_LLAMA | {"seq_length": 512},
}
SIZES = ("512M", "512m", "1.5g", "25.6k", " 7 ", "2T", "1.5G", "1.5", "1KB", "M", "", "1e9", "-1K")


def each_of(engines: Mapping[str, Case]) -> list[Any]:
    """Their names as parameters."""
    return [
        pytest.param(name, marks=() if name in EVERY_DAY else pytest.mark.heavy) for name in engines
    ]


def name_of(item: pytest.Item) -> str | None:
    return item.callspec.params.get("name") if hasattr(item, "callspec") else None


@pytest.fixture(scope="module")
def measured(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Any]:
    """What vLLM says to the cases of the tests that were asked for."""
    directory = tmp_path_factory.mktemp("measured")
    cases, results = directory / "cases.json", directory / "results.json"
    names = {OFFERED, *map(name_of, request.session.items)}
    engines = {name: case for name, case in (ENGINES | REFUSED_ENGINES).items() if name in names}
    blueprints = BLUEPRINTS | REFUSED_BLUEPRINTS
    asked = {
        "engines": {name: case.to_json() for name, case in engines.items()},
        "blueprints": {name: case.to_json() for name, case in blueprints.items()},
        "windows": {name: {"config": config} for name, config in WINDOWS.items()},
        "sizes": {text: {"text": text} for text in SIZES},
    }
    cases.write_text(json.dumps(asked))
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster.vllm_measure", str(cases), str(results)],
        env={**os.environ, **environment()},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: Mapping[str, Any] = json.loads(results.read_text())
    return found


def environment() -> dict[str, str]:
    """As Flotilla's replicas have it, with the engine in the measuring process itself."""
    return {
        **CPU_ENVIRONMENT,
        "HF_HUB_OFFLINE": "1",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_HOST_IP": "127.0.0.1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
        "GLOO_SOCKET_IFNAME": "lo",
    }


@pytest.mark.parametrize("name", each_of(ENGINES))
def test_every_worker_of_an_engine_holds_the_bytes_that_were_computed(
    measured: Mapping[str, Any], name: str
) -> None:
    expected, workers = ENGINES[name].fitting(CPU_KIND), measured["engines"][name]["workers"]
    by_rank = [stage for stage in expected.stages for _ in range(ENGINES[name].tensor)]
    tokens = expected.kv_tokens
    assert workers == [
        {"weight_bytes": stage.weight_bytes, "kv_bytes": tokens * stage.kv_bytes_per_token}
        for stage in by_rank
    ]


@pytest.mark.parametrize("name", each_of(ENGINES))
def test_an_engine_gets_the_blocks_and_the_concurrency_that_were_computed(
    measured: Mapping[str, Any], name: str
) -> None:
    case, said = ENGINES[name], measured["engines"][name]
    expected = case.fitting(CPU_KIND)
    assert (said["blocks"], said["block_size"]) == (
        expected.kv_cache.blocks,
        expected.kv_cache.block_size,
    )
    assert said["concurrency"] == expected.sequences_at(case.window_tokens)


@pytest.mark.parametrize("name", each_of(REFUSED_ENGINES))
def test_what_vllm_refuses_to_start_is_a_misfit(measured: Mapping[str, Any], name: str) -> None:
    assert "refusal" in measured["engines"][name]
    assert isinstance(REFUSED_ENGINES[name].expected(CPU_KIND), Misfit)


def test_the_window_that_is_offered_instead_is_vllms_own_estimate(
    measured: Mapping[str, Any],
) -> None:
    misfit = REFUSED_ENGINES[OFFERED].expected(CPU_KIND)
    assert isinstance(misfit, Misfit)
    estimate = f"the estimated maximum model length is {misfit.longest_context_tokens}."
    assert estimate in measured["engines"][OFFERED]["refusal"]


@pytest.mark.parametrize("name", BLUEPRINTS)
def test_vllms_own_classes_have_the_bytes_that_were_computed(
    measured: Mapping[str, Any], name: str
) -> None:
    expected = BLUEPRINTS[name].fitting("gpu")
    said = measured["blueprints"][name]
    assert said == {"stages": [stage.weight_bytes for stage in expected.stages]}


@pytest.mark.parametrize("name", REFUSED_BLUEPRINTS)
def test_what_vllms_classes_refuse_is_a_misfit(measured: Mapping[str, Any], name: str) -> None:
    assert "refusal" in measured["blueprints"][name]
    assert isinstance(REFUSED_BLUEPRINTS[name].expected("gpu"), Misfit)


@pytest.mark.parametrize("name", WINDOWS)
def test_the_window_of_a_config_is_the_one_that_vllm_derives(
    measured: Mapping[str, Any], name: str
) -> None:
    expected = read_architecture(WINDOWS[name]).window_tokens
    assert measured["windows"][name] == {"window_tokens": expected}


@pytest.mark.parametrize("text", SIZES)
def test_a_size_is_what_vllms_command_line_reads(measured: Mapping[str, Any], text: str) -> None:
    said = measured["sizes"][text]
    if "refusal" in said:
        with pytest.raises(SettingsUnknown):
            read_size(text)
    else:
        assert said == {"bytes": read_size(text)}
