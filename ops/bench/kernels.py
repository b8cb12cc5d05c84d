"""What share of its data sheet an accelerator reaches on the products and reads of a model's step:
where `deployments/roofline.py` has its shares from.

Torch alone, no engine: random weights in the shapes of one rank, captured in a CUDA graph as
engines do it. Every figure is a bound for what an engine on top of these kernels may reach.
`python -m ops.bench.kernels` on a machine with a GPU.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from statistics import median

import torch
from torch.nn.functional import scaled_dot_product_attention as attention

#: NVIDIA's data sheet of the H100 SXM: bytes/s, and dense operations/s in 16 and in 8 bits.
SHEET_BYTES_PER_S = 3.35e12
SHEET_OPERATIONS_PER_S = {torch.bfloat16: 989e12, torch.float8_e4m3fn: 1979e12}
#: Many times the second-level cache, so that weights come from memory as in a whole model.
POOL_BYTES = 8 << 30
ROUNDS = 9
WARM_UP = 3
SEQUENCES = (1, 16, 64, 256)
BATCH_TOKENS = (2048, 8192)
PROMPT_TOKENS = (8192, 32768)
CACHES = ((16, 4096), (64, 4096), (16, 16384))
HEAD = 128


@dataclass(frozen=True)
class Rank:
    """One rank of a model: the products of a layer as (inputs, outputs), and its heads."""

    name: str
    products: tuple[tuple[int, int], ...]
    heads: int
    kv_heads: int

    @property
    def weights(self) -> int:
        return sum(inputs * outputs for inputs, outputs in self.products)


def _rank(name: str, hidden: int, inner: int, heads: int, kv_heads: int) -> Rank:
    qkv = (heads + 2 * kv_heads) * HEAD
    products = ((hidden, qkv), (heads * HEAD, hidden), (hidden, 2 * inner), (inner, hidden))
    return Rank(name, products, heads, kv_heads)


RANKS = (
    _rank("8B, 1 rank", 4096, 14336, 32, 8),
    _rank("70B, 1 of 4", 8192, 28672 // 4, 64 // 4, 8 // 4),
    _rank("405B, 1 of 8", 16384, 53248 // 8, 128 // 8, 8 // 8),
)


def seconds(work: Callable[[], object]) -> float:
    """The median of one replay of a graph."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return median(_replays(graph))


def _replays(graph: torch.cuda.CUDAGraph) -> Iterator[float]:
    for number in range(WARM_UP + ROUNDS):
        begin, end = _event(), _event()
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        if number >= WARM_UP:
            yield begin.elapsed_time(end) / 1000


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def layers(rank: Rank, kind: torch.dtype) -> list[list[torch.Tensor]]:
    """Weights of as many layers as the pool holds, transposed as products want them."""
    count = max(2, POOL_BYTES // (rank.weights * kind.itemsize))
    return [[_random(out, into).to(kind).t() for into, out in rank.products] for _ in range(count)]


def _random(rows: int, columns: int) -> torch.Tensor:
    return torch.randn(rows, columns, device="cuda", dtype=torch.bfloat16) * 0.02


def product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    if left.dtype == torch.bfloat16:
        return left @ right
    return torch._scaled_mm(left, right, *_scales(), out_dtype=torch.bfloat16)


@cache
def _scales() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.ones((), device="cuda"), torch.ones((), device="cuda")


def products_s(pool: list[list[torch.Tensor]], tokens: int) -> float:
    """All products of all layers, once, for so many tokens."""
    inputs = [_random(tokens, weight.shape[0]).to(weight.dtype) for weight in pool[0]]

    def work() -> None:
        for layer in pool:
            for left, right in zip(inputs, layer, strict=True):
                product(left, right)

    return seconds(work)


def measure_products(rank: Rank, kind: torch.dtype) -> Iterator[str]:
    pool = layers(rank, kind)
    weights = rank.weights * len(pool)
    for tokens in (*SEQUENCES, *BATCH_TOKENS):
        if kind.itemsize == 1 and tokens % 16:
            continue  # products in 8 bits take rows in sixteens
        took_s = products_s(pool, tokens)
        memory = weights * kind.itemsize / took_s / SHEET_BYTES_PER_S
        arithmetic = 2 * weights * tokens / took_s / SHEET_OPERATIONS_PER_S[kind]
        yield _line(f"{rank.name}, {kind}, {tokens} tokens", took_s / len(pool), memory, arithmetic)


def measure_attention(rank: Rank) -> Iterator[str]:
    """Causal, of one prompt; of the two products only the half that is used counts."""
    for tokens in PROMPT_TOKENS:
        query, key, value = (
            torch.randn(1, heads, tokens, HEAD, device="cuda", dtype=torch.bfloat16)
            for heads in (rank.heads, rank.kv_heads, rank.kv_heads)
        )
        took_s = seconds(partial(attention, query, key, value, is_causal=True, enable_gqa=True))
        operations = 2 * tokens**2 * rank.heads * HEAD
        share = operations / took_s / SHEET_OPERATIONS_PER_S[torch.bfloat16]
        yield _line(f"{rank.name}, attention of a prompt of {tokens}", took_s, None, share)


def measure_cache(rank: Rank) -> Iterator[str]:
    """One token of each sequence against what is behind it; query heads of a group as rows."""
    for sequences, context in CACHES:
        key, value = (
            torch.randn(
                sequences, rank.kv_heads, context, HEAD, device="cuda", dtype=torch.bfloat16
            )
            for _ in range(2)
        )
        group = rank.heads // rank.kv_heads
        query = torch.randn(
            sequences, rank.kv_heads, group, HEAD, device="cuda", dtype=torch.bfloat16
        )
        took_s = seconds(partial(attention, query, key, value))
        share = 2 * key.numel() * key.itemsize / took_s / SHEET_BYTES_PER_S
        yield _line(f"{rank.name}, cache of {sequences} x {context}", took_s, share, None)


def _line(what: str, took_s: float, memory: float | None, arithmetic: float | None) -> str:
    shares = [f"{share:8.1%}" if share is not None else " " * 8 for share in (memory, arithmetic)]
    return f"{what:52}{took_s * 1e6:12.1f}{''.join(shares)}"


def main() -> int:
    if not torch.cuda.is_available():
        sys.exit("no CUDA device: this measures one")
    sys.stdout.write(f"{torch.cuda.get_device_name()}, torch {torch.__version__}\n")
    sys.stdout.write(f"{'':52}{'us':>12}{'memory':>8}{'arith.':>8}\n")
    for rank in RANKS:
        for kind in SHEET_OPERATIONS_PER_S:
            sys.stdout.writelines(f"{line}\n" for line in measure_products(rank, kind))
        for measure in (measure_attention, measure_cache):
            sys.stdout.writelines(f"{line}\n" for line in measure(rank))
    return 0


if __name__ == "__main__":
    sys.exit(main())
