"""Blocks, tokens and bytes of the KV cache."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.accelerator import CPU_KIND, Accelerator
from cluster.architecture import read_architecture
from cluster.fitting.kv_cache import KvCache, block_tokens, token_bytes
from tests.cluster.architectures import (
    DEEPSEEK_LITE,
    LLAMA_3B,
    LLAMA_8B,
    LLAMA_70B,
    LLAMA_405B,
    QWEN_72B,
    Config,
)

GPU = Accelerator("h100-sxm-80gb", 1)
CPU = Accelerator(CPU_KIND, 1)


@pytest.mark.parametrize(
    ("config", "size"),
    [
        (LLAMA_405B, 516_096),
        (LLAMA_70B, 327_680),
        (LLAMA_8B, 131_072),
        (LLAMA_3B, 114_688),
        (QWEN_72B, 327_680),
        (DEEPSEEK_LITE, 31_104),
    ],
)
def test_a_token_takes_what_the_catalogue_says(config: Config, size: int) -> None:
    architecture = read_architecture(config)
    assert token_bytes(architecture, architecture.body.layers, 1, 2) == size


@pytest.mark.parametrize(("tensor", "size"), [(2, 65_536), (8, 16_384), (16, 16_384)])
def test_ranks_share_it_until_each_has_one_kv_head(tensor: int, size: int) -> None:
    assert token_bytes(read_architecture(LLAMA_8B), 32, tensor, 2) == size


@pytest.mark.parametrize(
    ("config", "on", "asked", "tokens"),
    [
        (LLAMA_8B, GPU, None, 16),
        (LLAMA_8B, GPU, 32, 32),
        (LLAMA_8B, CPU, None, 128),
        (LLAMA_8B, CPU, 64, 64),
        (DEEPSEEK_LITE, GPU, None, 16),
        (DEEPSEEK_LITE, CPU, None, 16),
        (DEEPSEEK_LITE, CPU, 64, 16),
    ],
)
def test_a_block_has_vllms_size(
    config: Config, on: Accelerator, asked: int | None, tokens: int
) -> None:
    assert block_tokens(read_architecture(config), on, asked) == tokens


def test_one_block_is_never_used() -> None:
    cache = KvCache(blocks=5, block_size=16)
    assert (cache.tokens, cache.longest_tokens) == (80, 64)
    assert KvCache(blocks=0, block_size=16).longest_tokens == 0


def test_concurrency_counts_whole_blocks() -> None:
    cache = KvCache(blocks=42, block_size=128)
    assert cache.sequences_at(256) == 21
    assert cache.sequences_at(257) == 14


@given(
    blocks=st.integers(0, 10**6),
    block_size=st.sampled_from([16, 64, 128]),
    context=st.integers(1, 10**6),
)
def test_longer_requests_never_have_more_room(blocks: int, block_size: int, context: int) -> None:
    cache = KvCache(blocks, block_size)
    assert cache.sequences_at(context + 1) <= cache.sequences_at(context)
    if context <= cache.longest_tokens:
        assert cache.sequences_at(context) > 1
