"""The part of a layer behind the attention: one dense MLP, or experts of which a token visits few.

Read in vLLM 0.32.0: `LlamaMLP`, `MixtralMoE`, `DeepseekV2MoE` (models/) and
`UnquantizedFusedMoEMethod` (layers/fused_moe/), without expert parallelism: every rank holds its
cut of every expert.
"""

from dataclasses import dataclass

from cluster.fitting.matrix import Matrix


@dataclass(frozen=True, slots=True)
class Dense:
    """Gate and up projection fused into one, and down."""

    width: int
    has_bias: bool = False

    def matrices(self, layer: int, hidden: int, tensor: int) -> tuple[Matrix, ...]:
        del layer
        return gated("mlp", self.width, hidden, tensor, has_bias=self.has_bias)

    def float_elements(self, layer: int) -> int:
        """Elements that stay float32 whatever the model's dtype."""
        del layer
        return 0

    def obstacles(self, tensor: int) -> tuple[str, ...]:
        return _indivisible(tensor, {"the MLP's width": self.width})


@dataclass(frozen=True, slots=True)
class Experts:
    """Routed experts, perhaps some that every token visits, and perhaps layers without any."""

    count: int
    width: int
    #: The width of all shared experts together, which vLLM keeps as one MLP; 0 for none.
    shared_width: int = 0
    #: A bias of the router for each expert (`noaux_tc`).
    has_correction_bias: bool = False
    #: What layers without experts have instead.
    dense: Dense | None = None
    first_layer: int = 0
    every: int = 1

    def matrices(self, layer: int, hidden: int, tensor: int) -> tuple[Matrix, ...]:
        if self.dense is not None and not self._are_in(layer):
            return self.dense.matrices(layer, hidden, tensor)
        return (
            Matrix("mlp.gate", hidden, (self.count,), "none"),
            *gated("mlp.experts", self.width, hidden, tensor, copies=self.count),
            *gated("mlp.shared_experts", self.shared_width, hidden, tensor),
        )

    def float_elements(self, layer: int) -> int:
        """Elements that stay float32 whatever the model's dtype."""
        return self.count if self.has_correction_bias and self._are_in(layer) else 0

    def obstacles(self, tensor: int) -> tuple[str, ...]:
        widths = {"an expert's width": self.width, "the shared experts' width": self.shared_width}
        dense = () if self.dense is None else self.dense.obstacles(tensor)
        return _indivisible(tensor, widths) + dense

    def _are_in(self, layer: int) -> bool:
        return layer >= self.first_layer and layer % self.every == 0


Mlp = Dense | Experts


def gated(  # noqa: PLR0913 - the last two are rare, and named where given
    name: str, width: int, hidden: int, tensor: int, *, copies: int = 1, has_bias: bool = False
) -> tuple[Matrix, ...]:
    """A gated MLP on one rank; none at all without width."""
    if width == 0:
        return ()
    cut = width // tensor
    return (
        Matrix(f"{name}.gate_up_proj", hidden, (cut, cut), "outputs", copies, has_bias),
        Matrix(f"{name}.down_proj", cut, (hidden,), "inputs", copies, has_bias),
    )


def _indivisible(tensor: int, widths: dict[str, int]) -> tuple[str, ...]:
    return tuple(
        f"tensor {tensor} does not divide {what}, {width:,}"
        for what, width in widths.items()
        if width % tensor
    )
