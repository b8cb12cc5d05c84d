"""Whether a model fits a shape on a kind of accelerator, and what is left for requests.

Pure: `fit` says what vLLM would do, or everything that speaks against it, with the arithmetic.

What is exact and what is not. Weights, blocks and tokens are vLLM's own arithmetic and were
compared with running engines. What a GPU needs besides weights and cache (activations, CUDA graphs,
NCCL) is an assumption of the model catalogue that was never measured on a GPU: see reserve.py. Only
`kv_cache_memory_bytes` takes that guess out of the number of blocks.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cluster.accelerator import Accelerator
from cluster.architecture import Architecture
from cluster.fitting.budget import Budget, StageBudget, budget
from cluster.fitting.engine_settings import EngineSettings, engine_settings
from cluster.fitting.kv_cache import KvCache
from cluster.fitting.obstacles import engine_obstacles, shape_obstacles
from cluster.shape import Shape

#: What those who ask need, in one place.
__all__ = [
    "Accelerator",
    "EngineSettings",
    "Fit",
    "Misfit",
    "Shape",
    "engine_settings",
    "fit",
]


@dataclass(frozen=True, slots=True)
class Fit:
    """The replica starts, with this much for requests."""

    shape: Shape
    stages: tuple[StageBudget, ...]
    reserve_bytes: int
    kv_cache: KvCache
    #: The largest window that model and cache both allow.
    longest_context_tokens: int
    notes: tuple[str, ...]

    @property
    def weight_bytes(self) -> int:
        """On the fullest accelerator."""
        return max(stage.weight_bytes for stage in self.stages)

    @property
    def kv_bytes(self) -> int:
        """What the cache takes on the accelerator where it takes most."""
        return self.kv_tokens * max(stage.kv_bytes_per_token for stage in self.stages)

    @property
    def kv_tokens(self) -> int:
        """Of the whole replica."""
        return self.kv_cache.tokens

    def sequences_at(self, context_tokens: int) -> float:
        """How many requests of this length have room at once; vLLM's "Maximum concurrency"."""
        return self.kv_cache.sequences_at(context_tokens)


@dataclass(frozen=True, slots=True)
class Misfit:
    """The replica cannot start: all reasons, one sentence each."""

    reasons: tuple[str, ...]
    #: A window for which there would be memory; None where no window helps.
    longest_context_tokens: int | None


def fit(
    architecture: Architecture,
    shape: Shape,
    settings: EngineSettings,
    accelerator: Accelerator,
) -> Fit | Misfit:
    """What vLLM 0.32.0 would make of it."""
    uncuttable = shape_obstacles(architecture, shape, settings.layer_partition)
    reasons = uncuttable + tuple(engine_obstacles(architecture, settings, accelerator))
    if uncuttable:
        return Misfit(reasons, None)
    found = budget(architecture, shape, settings, accelerator)
    overfull = tuple(found.memory_obstacles())
    if overfull:
        return Misfit(reasons + overfull, None)
    reasons += tuple(found.cache_obstacles())
    longest = min(architecture.window_tokens, found.kv_cache().longest_tokens)
    if reasons:
        return Misfit(reasons, longest or None)
    return _fit(found, shape, longest, tuple(_notes(architecture, shape, settings)))


def _fit(found: Budget, shape: Shape, longest: int, notes: tuple[str, ...]) -> Fit:
    return Fit(shape, found.stages, found.reserve_bytes, found.kv_cache(), longest, notes)


def _notes(architecture: Architecture, shape: Shape, settings: EngineSettings) -> Iterator[str]:
    tensor, cuts = shape.tensor, architecture.body.attention.kv_cuts
    if tensor > cuts:
        yield (
            f"{tensor // cuts} of a stage's {tensor} accelerators each keep the same KV cache: "
            f"beyond tensor {cuts} it does not shrink"
        )
    if settings.uncounted:
        yield f"not counted: {', '.join(settings.uncounted)}"
