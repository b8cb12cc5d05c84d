"""The layers of a model and what stands around them: the part that every rank holds a cut of."""

from dataclasses import dataclass

from cluster.fitting.attention import Attention
from cluster.fitting.matrix import Matrix
from cluster.fitting.mlp import Mlp


@dataclass(frozen=True, slots=True)
class Body:
    """A decoder: embedding, layers, last norm, head."""

    layers: int
    hidden: int
    vocab: int
    attention: Attention
    mlp: Mlp
    #: How far every layer looks back; None: to the beginning.
    window_tokens: int | None = None
    #: The input embedding is the output head too.
    is_tied: bool = False
    #: Mixtral: every stage of a pipeline holds embedding, last norm and head, used or not.
    is_whole_on_stages: bool = False

    def matrices(self, layer: int, tensor: int) -> tuple[Matrix, ...]:
        """The matrices of one layer as one of `tensor` ranks holds them."""
        return self.attention.matrices(self.hidden, tensor) + self.mlp.matrices(
            layer, self.hidden, tensor
        )

    def norm_elements(self) -> int:
        """What a layer has besides matrices: a norm before attention and one before the MLP."""
        return 2 * self.hidden + self.attention.norm_elements

    def obstacles(self, tensor: int) -> tuple[str, ...]:
        """Why this many ranks cannot share a layer."""
        return self.attention.obstacles(tensor) + self.mlp.obstacles(tensor)
