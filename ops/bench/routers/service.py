"""How long one emulated engine's steps take, and how much it can hold. Pure.

The default is an estimate, not a measurement: Llama 3.1 8B in bf16 on one H100, by its roofline.
- A step reads 16 GB of weights at 3.35 TB/s: 4.8 ms, and about 1 ms of scheduling.
- A sequence that decodes reads its KV cache, 131 kB a token: 0.4 ms at 10,000 tokens.
- A prompt token costs 16 GFLOP of 990 TFLOP/s, half of which is reached, and its attention:
  25,000 tokens a second.
- 92 % of 80 GB less weights and activations leaves 53 GB: 800 blocks of 512 tokens.
Batch limits are vLLM's own for its server on that GPU.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Service:
    step_s: float = 0.006
    sequence_s: float = 0.0004
    prefill_tokens_per_s: float = 25_000.0
    #: Tokens that one step computes at most, and sequences that it may hold.
    batch_tokens: int = 8_192
    sequences: int = 256
    cache_blocks: int = 800
    #: Decode steps whose tokens travel in one event (vLLM's `--stream-interval`).
    stream_interval: int = 16

    def step_time_s(self, prefill_tokens: int, decoding: int) -> float:
        compute_s = prefill_tokens / self.prefill_tokens_per_s
        return self.step_s + compute_s + decoding * self.sequence_s
