"""Where the memory of each accelerator goes, for one model, shape, settings and accelerator."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from cluster.accelerator import GIB, Accelerator
from cluster.architecture import Architecture
from cluster.fitting.engine_settings import EngineSettings
from cluster.fitting.kv_cache import KvCache, block_tokens, token_bytes
from cluster.fitting.reserve import reserve_bytes
from cluster.fitting.sliding_window import held_tokens
from cluster.fitting.weights import stage_weight_bytes
from cluster.shape import Shape, Stage, partition, stages


@dataclass(frozen=True, slots=True)
class StageBudget:
    """What each accelerator of a stage holds."""

    layers: int
    weight_bytes: int
    #: Memory for the KV cache: what was asked for, or all that is left.
    cache_bytes: int
    kv_bytes_per_token: int
    #: What the stage has room for; the engine uses the smallest number of all stages.
    kv_blocks: int


@dataclass(frozen=True, slots=True)
class Budget:
    """The memory of all stages."""

    stages: tuple[StageBudget, ...]
    block_size: int
    reserve_bytes: int
    usable_bytes: int
    accelerator: Accelerator
    settings: EngineSettings
    #: See KvCache.
    held_tokens: int | None

    @property
    def weight_bytes(self) -> int:
        """On the fullest accelerator."""
        return max(stage.weight_bytes for stage in self.stages)

    def kv_cache(self) -> KvCache:
        blocks = min(stage.kv_blocks for stage in self.stages)
        return KvCache(blocks, self.block_size, self.held_tokens)

    def memory_obstacles(self) -> Iterator[str]:
        """Why there is no memory for any cache."""
        asked = self.settings.kv_cache_memory_bytes
        if asked is None and self.accelerator.is_cpu:
            yield (
                "a slot of a CPU machine needs `kv_cache_memory_bytes`: "
                "vLLM would take a share of the whole machine"
            )
        needed = self.weight_bytes + self.reserve_bytes + (asked or 0)
        if needed > self.usable_bytes:
            cache = f", {gib(asked)} of KV cache" if asked else ""
            yield (
                f"{gib(self.weight_bytes)} of weights{cache} and {gib(self.reserve_bytes)} for the "
                f"engine itself on each accelerator, {self._usable()}"
            )

    def cache_obstacles(self) -> Iterator[str]:
        """Why the cache is too small for a single request."""
        cache, window = self.kv_cache(), self.settings.window_tokens
        if cache.longest_tokens < window:
            needed = min(window, cache.held_tokens or window)
            yield (
                f"a window of {window:,} tokens needs {needed:,} tokens of KV cache, "
                f"{cache.longest_tokens:,} fit: {self._cache_arithmetic()}"
            )

    def _usable(self) -> str:
        memory = self.accelerator.memory_bytes
        if self.usable_bytes == memory:
            return f"{gib(memory)} usable"
        share = self.settings.gpu_memory_utilization
        return f"{gib(self.usable_bytes)} usable ({gib(memory)} x {share:.2f})"

    def _cache_arithmetic(self) -> str:
        stage = min(self.stages, key=lambda each: each.kv_blocks)
        cache = f"{gib(stage.cache_bytes)} at {stage.kv_bytes_per_token:,} bytes a token"
        if self.settings.kv_cache_memory_bytes is not None:
            return cache
        return (
            f"{self._usable()} - {gib(stage.weight_bytes)} of weights - "
            f"{gib(self.reserve_bytes)} for the engine itself = {cache}"
        )


def budget(
    architecture: Architecture,
    shape: Shape,
    settings: EngineSettings,
    accelerator: Accelerator,
) -> Budget:
    """For a shape that the model can be cut into."""
    usable_bytes = _usable_bytes(settings, accelerator)
    reserved = reserve_bytes(architecture, shape, accelerator)
    block_size = block_tokens(architecture, accelerator, settings.block_size)
    layers = settings.layer_partition or partition(architecture.body.layers, shape.pipeline)

    window = architecture.body.window_tokens

    def of(stage: Stage) -> StageBudget:
        dtype_bytes = settings.dtype_bytes(architecture)
        weights = stage_weight_bytes(architecture, stage, shape.tensor, dtype_bytes)
        cache = settings.kv_cache_memory_bytes
        cache = usable_bytes - weights - reserved if cache is None else cache
        kv_dtype_bytes = settings.kv_dtype_bytes(architecture)
        token = token_bytes(architecture, stage.layers, shape.tensor, kv_dtype_bytes)
        return StageBudget(stage.layers, weights, cache, token, cache // (token * block_size))

    return Budget(
        tuple(of(stage) for stage in stages(layers)),
        block_size,
        reserved,
        usable_bytes,
        accelerator,
        settings,
        None if window is None else held_tokens(window, settings, shape, accelerator),
    )


def _usable_bytes(settings: EngineSettings, accelerator: Accelerator) -> int:
    """vLLM minds its share only while it sizes the cache itself (`request_memory`,
    v1/worker/utils.py).
    """
    if settings.kv_cache_memory_bytes is not None or accelerator.is_cpu:
        return accelerator.memory_bytes
    return math.ceil(accelerator.memory_bytes * settings.gpu_memory_utilization)


def gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:,.1f} GiB"
