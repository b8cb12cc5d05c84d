"""One weight matrix, as one rank holds it."""

from dataclasses import dataclass
from typing import Literal

#: How tensor parallelism cuts a matrix: its outputs (vLLM's column parallel), its inputs (row
#: parallel), or not at all (replicated).
Cut = Literal["outputs", "inputs", "none"]


@dataclass(frozen=True, slots=True)
class Matrix:
    """A linear layer of vLLM, which may be several matrices of the checkpoint fused into one."""

    #: vLLM's name of it inside a decoder layer, `self_attn.qkv_proj` for example.
    name: str
    inputs: int
    #: Outputs of each matrix fused into this one.
    parts: tuple[int, ...]
    cut: Cut
    #: Experts have one each.
    copies: int = 1
    has_bias: bool = False

    @property
    def outputs(self) -> int:
        return sum(self.parts)

    @property
    def weights(self) -> int:
        return self.copies * self.inputs * self.outputs

    @property
    def biases(self) -> int:
        return self.copies * self.outputs if self.has_bias else 0
