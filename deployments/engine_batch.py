"""What one step of an engine may hold: the fleet's own word, else vLLM's default for the
accelerator. Pure.

vLLM 0.32.0, `EngineArgs.get_batch_defaults`, for a server.
"""

from collections.abc import Mapping
from typing import Any

from cluster.accelerator import GIB, Accelerator
from cluster.shape import Shape
from deployments.calibration import Batch

_LARGEST = Batch(tokens=16384, sequences=1024)
_LARGE = Batch(tokens=8192, sequences=1024)
#: On all but the largest GPUs.
OTHER = Batch(tokens=2048, sequences=256)
#: For each rank of the engine.
_CPU = Batch(tokens=2048, sequences=128)
_LARGEST_BYTES = 160 * GIB
_LARGE_BYTES = 70 * GIB


def engine_batch(engine: Mapping[str, Any], shape: Shape, accelerator: Accelerator | None) -> Batch:
    """The limits of an engine with these arguments on that kind, None where nobody knows which;
    what is not a number is vLLM's to refuse.
    """
    default = _default(shape, accelerator)
    tokens = _number(engine.get("max_num_batched_tokens"), default.tokens)
    sequences = _number(engine.get("max_num_seqs"), default.sequences)
    return Batch(tokens=max(tokens, 1), sequences=max(sequences, 1))


def _default(shape: Shape, accelerator: Accelerator | None) -> Batch:
    if accelerator is None:
        return OTHER
    if accelerator.is_cpu:
        ranks = shape.accelerators
        return Batch(tokens=_CPU.tokens * ranks, sequences=_CPU.sequences * ranks)
    if accelerator.memory_bytes >= _LARGEST_BYTES:
        return _LARGEST
    is_a100 = accelerator.kind.startswith("a100")
    return _LARGE if accelerator.memory_bytes >= _LARGE_BYTES and not is_a100 else OTHER


def _number(said: Any, default: int) -> int:
    return said if type(said) is int else default
