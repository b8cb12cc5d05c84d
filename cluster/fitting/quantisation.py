"""FP8 weights: which matrices are quantised, and what scales stand beside them.

A quantised weight takes one byte, its scales are float32, its bias stays as it is
(`create_fp8_weight_parameter` and its neighbours, layers/quantization/utils/fp8_utils.py of vLLM
0.32.0). The bytes are those that vLLM allocates to load into; afterwards it folds the scales of a
per-tensor matrix into one, a few bytes less.
"""

from dataclasses import dataclass
from typing import Literal

from cluster.fitting.matrix import Matrix

FLOAT_BYTES = 4
HEAD = "lm_head"
#: vLLM refuses these at start unless it is told otherwise (`DEPRECATED_QUANTIZATION_METHODS`,
#: layers/quantization/__init__.py).
DEPRECATED = frozenset({"fbgemm_fp8"})
#: The CPU build has no kernels for these: its engine fails while it loads them.
GPU_ONLY = frozenset({"fbgemm_fp8", "modelopt"})


@dataclass(frozen=True, slots=True)
class BlockScale:
    """A scale for each block of so many outputs and inputs."""

    outputs: int
    inputs: int


#: One scale for each matrix that was fused, one for each output, or one for each block.
Scale = Literal["part", "output"] | BlockScale
#: Scales of the activations: one for each part, one upper bound in all, or made while running.
InputScale = Literal["part", "bound", "dynamic"]


@dataclass(frozen=True, slots=True)
class Quantisation:
    """How a checkpoint's weights are quantised."""

    method: str
    scale: Scale
    input_scale: InputScale
    #: Full names of the matrices that are not quantised.
    plain: frozenset[str]
    #: Whether the checkpoint asks for an FP8 KV cache where the operator asks for nothing.
    has_fp8_kv_cache: bool = False

    def covers(self, name: str) -> bool:
        return name not in self.plain

    def matrix_bytes(self, matrix: Matrix, dtype_bytes: int) -> int:
        """A quantised matrix with its scales, and its bias in the model's dtype."""
        floats = self._weight_scales(matrix) + self._input_scales(matrix)
        return matrix.weights + matrix.biases * dtype_bytes + floats * FLOAT_BYTES

    def obstacles(self, matrix: Matrix, tensor: int) -> tuple[str, ...]:
        """Why blocks and ranks do not go together (`validate_fp8_block_shape`, fp8_utils.py)."""
        if not isinstance(self.scale, BlockScale):
            return ()
        wrong = []
        if tensor > 1 and matrix.cut == "inputs" and matrix.inputs % self.scale.inputs:
            wrong.append(("inputs", matrix.inputs, self.scale.inputs))
        is_cut = tensor > 1 and matrix.cut == "outputs"
        checked = matrix.parts if is_cut else matrix.parts[:-1]
        wrong += [
            ("outputs", part, self.scale.outputs) for part in checked if part % self.scale.outputs
        ]
        return tuple(
            f"tensor {tensor} leaves {size:,} {what} of {matrix.name} on each accelerator, "
            f"which blocks of {block} do not divide"
            for what, size, block in wrong
        )

    def _weight_scales(self, matrix: Matrix) -> int:
        match self.scale:
            case "part":
                return len(matrix.parts)
            case "output":
                return matrix.outputs
            case BlockScale(outputs, inputs):
                return -(-matrix.outputs // outputs) * -(-matrix.inputs // inputs)

    def _input_scales(self, matrix: Matrix) -> int:
        return {"part": len(matrix.parts), "bound": 1, "dynamic": 0}[self.input_scale]
