"""The KV cache as vLLM 0.32.0 lays it out when all layers are of one kind: one group, whose blocks
hold the same tokens in every layer (v1/core/kv_cache_utils.py, v1/kv_cache_interface.py).

Rules
1. A block takes, for each layer of the stage, `block_size` tokens times what the attention keeps of
   a token (`AttentionSpec.page_size_bytes`).
2. A worker has memory // block bytes blocks (`get_kv_cache_config_from_groups`); the engine works
   with the smallest number of all workers (`get_kv_cache_configs`).
3. One block is never used (`BlockPool`'s null block): an engine starts when the window's blocks and
   this one fit (`_check_enough_kv_cache_memory`).
4. The concurrency that vLLM prints counts it all the same: blocks / blocks of a window
   (`get_max_concurrency_for_kv_cache_config`).
5. Where all layers look back over one window a request holds no more than that and what is under
   way, in a block more: the window may begin within one (`SlidingWindowSpec`).
"""

from dataclasses import dataclass

from cluster.accelerator import Accelerator
from cluster.architecture import Architecture
from cluster.fitting.attention import LatentAttention

#: `CacheConfig.DEFAULT_BLOCK_SIZE`; FlashAttention and its latent kind keep it on Hopper in 16 bit.
#: Other kernels may take 32 or 64, which moves the last block only.
GPU_BLOCK_TOKENS = 16
#: platforms/cpu.py.
CPU_BLOCK_TOKENS = 128
#: platforms/cpu.py on machines without AMX, whatever is asked for.
CPU_LATENT_BLOCK_TOKENS = 16
NULL_BLOCKS = 1
SPLIT_BLOCKS = 1
#: A cache that holds a request of any length.
ENDLESS_TOKENS = 1 << 62


@dataclass(frozen=True, slots=True)
class KvCache:
    """So many blocks of so many tokens."""

    blocks: int
    block_size: int
    #: What a request holds at most, where all layers look back over a window; None: all of it.
    held_tokens: int | None = None

    @property
    def tokens(self) -> int:
        return self.blocks * self.block_size

    @property
    def longest_tokens(self) -> int:
        """The longest window with which an engine starts."""
        if self.held_tokens is None:
            return max(0, self.blocks - NULL_BLOCKS) * self.block_size
        room = max(0, self.blocks - NULL_BLOCKS - SPLIT_BLOCKS) * self.block_size
        return ENDLESS_TOKENS if room >= self.held_tokens else room

    def sequences_at(self, context_tokens: int) -> float:
        """vLLM's "Maximum concurrency" for requests of this length."""
        return self.blocks / self._blocks_of(context_tokens)

    def _blocks_of(self, context_tokens: int) -> int:
        """Rule 5."""
        if self.held_tokens is None:
            return -(-context_tokens // self.block_size)
        held = min(context_tokens, self.held_tokens)
        return -(-held // self.block_size) + SPLIT_BLOCKS


def block_tokens(architecture: Architecture, accelerator: Accelerator, asked: int | None) -> int:
    """Tokens of a block; `asked` is the operator's word, None for vLLM's own choice."""
    is_latent = isinstance(architecture.body.attention, LatentAttention)
    if accelerator.is_cpu and is_latent:
        return CPU_LATENT_BLOCK_TOKENS
    if asked is not None:
        return asked
    return CPU_BLOCK_TOKENS if accelerator.is_cpu else GPU_BLOCK_TOKENS


def token_bytes(architecture: Architecture, layers: int, tensor: int, dtype_bytes: int) -> int:
    """What one rank keeps of a token in so many layers."""
    return layers * architecture.body.attention.kv_elements(tensor) * dtype_bytes
