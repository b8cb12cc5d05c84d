"""What a request holds of the KV cache when every layer looks back over a window only: the window,
and all that is scheduled and not settled yet (`SlidingWindowSpec`, v1/kv_cache_interface.py).
"""

from cluster.accelerator import GIB, Accelerator
from cluster.fitting.engine_settings import EngineSettings
from cluster.shape import Shape

#: Tokens of a batch where nobody says (`get_batch_defaults`, engine/arg_utils.py, for a server):
#: by the least memory of an accelerator.
BATCH_TOKENS = ((160 * GIB, 16_384), (70 * GIB, 8192), (0, 2048))
#: One kind takes small batches for its size.
SMALL_BATCH_KINDS = ("a100",)
SMALL_BATCH_TOKENS = 2048


def held_tokens(
    window_tokens: int, settings: EngineSettings, shape: Shape, accelerator: Accelerator
) -> int:
    """Tokens that a long request holds at most."""
    asked = settings.max_num_batched_tokens
    batch = asked if asked is not None else _batch_tokens(shape, accelerator)
    return window_tokens - 1 + batch * _batches(shape, accelerator)


def _batch_tokens(shape: Shape, accelerator: Accelerator) -> int:
    if accelerator.is_cpu:
        return SMALL_BATCH_TOKENS * shape.accelerators
    if accelerator.kind.startswith(SMALL_BATCH_KINDS):
        return SMALL_BATCH_TOKENS
    return next(tokens for least, tokens in BATCH_TOKENS if accelerator.memory_bytes >= least)


def _batches(shape: Shape, accelerator: Accelerator) -> int:
    """Batches under way at once (`max_concurrent_batches`, config/vllm.py): one a stage, and one
    more where scheduling overlaps with running, as it does on GPUs. An older model runner does
    without that one in a pipeline; then a request holds less than is counted here.
    """
    return shape.pipeline + (not accelerator.is_cpu)
