"""Calibrations that tests make: of an engine whose times follow the formula exactly."""

from dataclasses import dataclass

from deployments.calibration import Batch, Cache, Calibration, Decode, Prefill, Spread


@dataclass(frozen=True)
class Law:
    """What the engine's steps take."""

    overhead_s: float = 0.01
    step_s: float = 0.004
    sequence_s: float = 0.0005
    context_token_s: float = 2e-7
    prompt_token_s: float = 2e-4
    prompt_pair_s: float = 3e-8
    batch_tokens: int = 2048

    def prefill_s(self, tokens: int) -> float:
        steps = -(-tokens // self.batch_tokens)
        work_s = tokens * self.prompt_token_s + tokens**2 * self.prompt_pair_s
        return self.overhead_s + steps * self.step_s + work_s

    def decode(self, sequences: int, context_tokens: int) -> Decode:
        each_s = self.sequence_s + context_tokens * self.context_token_s
        seconds = exact(self.step_s + sequences * each_s)
        return Decode(sequences=sequences, context_tokens=context_tokens, seconds=seconds)

    def calibration(self, model: str = "m", accelerator: str = "cpu") -> Calibration:
        lengths = (16, 64, 256, 1024, 4096)
        return Calibration(
            model=model,
            accelerator=accelerator,
            tensor=1,
            pipeline=1,
            basis="measured",
            origin="a test",
            overhead=exact(self.overhead_s),
            prefill=tuple(Prefill(tokens=n, seconds=exact(self.prefill_s(n))) for n in lengths),
            decode=tuple(self.decode(n, 40) for n in (1, 2, 4, 8, 16)),
            long_decode=(self.decode(1, 6000), self.decode(4, 6000)),
            cache=Cache(blocks=1024, block_tokens=128),
            batch=Batch(tokens=self.batch_tokens, sequences=16),
            start=exact(40.0),
        )


def exact(seconds: float) -> Spread:
    return Spread(median=seconds, low=seconds, high=seconds)
