"""A calibration for what nobody has measured, from data sheets. An estimate, and named one. Pure.

A step reads all weights once while it multiplies each of its tokens with those that it visits, and
takes the longer of the two; then it reads the cache of its sequences. Each at a share of what the
data sheet promises. Stages of a pipeline follow one another.

The shares are assumptions about engines. What was measured is their bound: the kernels alone, on an
H100 (`ops/bench/kernels.py`, table in `ops/bench/KERNELS.md`), reach 76 to 81 % of the bandwidth
with few tokens in 16 bits, 70 to 78 % in 8; 72 % of the arithmetic in 16 bits, 62 to 66 % in 8, 56
to 61 % in the attention of a prompt. Products of 256 tokens take 1.15 to 1.25 times those of one,
which is why reading and multiplying are not added up.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cluster.accelerator import Accelerator
from cluster.architecture import Architecture
from cluster.fit import Fit
from deployments.calibration import Batch, Cache, Calibration, Decode, Prefill, Spread
from deployments.need import Facts, Need

#: Of the data sheet's figures, what engines are assumed to reach.
BANDWIDTH_SHARE = 0.7
ARITHMETIC_SHARE = 0.5
#: Of a step: launches, sampling, and the words between ranks.
STEP_S = 0.003
REQUEST_S = 0.02
#: Of a start, besides reading the weights.
START_S = 90.0
DISK_BYTES_PER_S = 2e9
PROMPTS_TOKENS = (16, 1024, 8192, 65536)
LONG_TOKENS = 16384


@dataclass(frozen=True, slots=True)
class DataSheet:
    """Of one accelerator, as its maker states it."""

    bytes_per_s: float
    #: Dense, in 16 bits; in 8 bits twice as many where it has them.
    operations_per_s: float
    has_fp8: bool = True


DATA_SHEETS: Mapping[str, DataSheet] = {
    "h100-sxm-80gb": DataSheet(3.35e12, 989e12),
    "h100-pcie-80gb": DataSheet(2.0e12, 756e12),
    "h200-141gb": DataSheet(4.8e12, 989e12),
    "b200-180gb": DataSheet(8.0e12, 2250e12),
    "gh200-96gb": DataSheet(4.0e12, 989e12),
    "a100-80gb": DataSheet(2.04e12, 312e12, has_fp8=False),
    "a100-40gb": DataSheet(1.55e12, 312e12, has_fp8=False),
    "l40s-48gb": DataSheet(0.86e12, 362e12),
    "a6000-48gb": DataSheet(0.77e12, 155e12, has_fp8=False),
    "a10-24gb": DataSheet(0.60e12, 125e12, has_fp8=False),
}


def estimated(need: Need, accelerator: Accelerator, batch: Batch) -> Calibration | None:
    """The estimate for a model; None where architecture, fit or data sheet are unknown."""
    sheet = DATA_SHEETS.get(accelerator.kind)
    found = need.fits.get(accelerator)
    architecture = need.facts.architecture
    if sheet is None or architecture is None or not isinstance(found, Fit):
        return None
    work = _work(need.facts, architecture, found, sheet)
    return Calibration(
        model=need.model,
        accelerator=accelerator.kind,
        tensor=need.shape.tensor,
        pipeline=need.shape.pipeline,
        basis="estimated",
        origin=f"data sheet of {accelerator.kind}: {BANDWIDTH_SHARE:.0%} of its bandwidth, "
        f"{ARITHMETIC_SHARE:.0%} of its arithmetic; nothing was measured",
        overhead=_exact(REQUEST_S),
        prefill=tuple(
            Prefill(tokens=n, seconds=_exact(work.prefill_s(n, batch))) for n in PROMPTS_TOKENS
        ),
        decode=tuple(
            Decode(sequences=n, context_tokens=1, seconds=_exact(work.step_s(n, 1)))
            for n in _doubled_up_to(batch.sequences)
        ),
        long_decode=(
            Decode(
                sequences=1,
                context_tokens=LONG_TOKENS,
                seconds=_exact(work.step_s(1, LONG_TOKENS)),
            ),
        ),
        cache=Cache(blocks=found.kv_cache.blocks, block_tokens=found.kv_cache.block_size),
        batch=batch,
        start=_exact(start_s(found)),
    )


def _doubled_up_to(most: int) -> list[int]:
    """Near enough together that a line between two of them passes the bend of a step's time."""
    return sorted({min(1 << power, most) for power in range(most.bit_length() + 1)})


def start_s(found: Fit) -> float:
    """Of a start: the weights are read from disk."""
    weights = sum(stage.weight_bytes for stage in found.stages) * found.shape.tensor
    return START_S + weights / DISK_BYTES_PER_S


@dataclass(frozen=True, slots=True)
class _Work:
    """Seconds of a replica."""

    weights_s: float
    token_s: float
    #: For each token, each token before it.
    pair_s: float
    context_token_s: float

    def step_s(self, sequences: int, context_tokens: int) -> float:
        products_s = max(self.weights_s, sequences * self.token_s)
        return STEP_S + products_s + sequences * context_tokens * self.context_token_s

    def prefill_s(self, tokens: int, batch: Batch) -> float:
        steps = -(-tokens // batch.tokens)
        work_s = tokens * self.token_s + tokens**2 / 2 * self.pair_s
        return REQUEST_S + steps * (STEP_S + self.weights_s) + work_s


def _work(facts: Facts, architecture: Architecture, found: Fit, sheet: DataSheet) -> _Work:
    is_fp8 = architecture.quantisation is not None and sheet.has_fp8
    operations = sheet.operations_per_s * ARITHMETIC_SHARE * found.shape.tensor
    bytes_per_s = sheet.bytes_per_s * BANDWIDTH_SHARE
    body = architecture.body
    return _Work(
        weights_s=sum(stage.weight_bytes for stage in found.stages) / bytes_per_s,
        token_s=2 * _visited(facts, architecture) / (operations * (2 if is_fp8 else 1)),
        # Two products with every token before it, each a multiplication and an addition.
        pair_s=4 * body.hidden * body.layers / operations,
        context_token_s=sum(stage.kv_bytes_per_token for stage in found.stages) / bytes_per_s,
    )


def _visited(facts: Facts, architecture: Architecture) -> float:
    """Parameters that one token is multiplied with: of routed experts only those it goes to."""
    body = architecture.body
    experts = sum(
        matrix.weights
        for layer in range(body.layers)
        for matrix in body.matrices(layer, 1)
        if matrix.name.startswith("mlp.experts")
    )
    chosen = facts.config.get("num_experts_per_tok")
    count = facts.config.get("n_routed_experts") or facts.config.get("num_local_experts")
    if not experts or type(chosen) is not int or type(count) is not int or count < 1:
        return architecture.parameters
    return architecture.parameters - experts * (1 - min(chosen / count, 1))


def _exact(seconds: float) -> Spread:
    return Spread(median=seconds, low=seconds, high=seconds)
