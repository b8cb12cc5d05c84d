"""The kinds of attention: what a rank holds of their weights, and what they keep of each token.

Read in vLLM 0.32.0: `QKVParallelLinear` and `RowParallelLinear` (model_executor/layers/linear.py),
`LlamaAttention` (models/llama.py), `DeepseekV2MLAAttention` (models/deepseek_v2.py). Both kinds
answer the same questions, so nobody else asks which one it is.
"""

from dataclasses import dataclass

from cluster.fitting.matrix import Matrix


@dataclass(frozen=True, slots=True)
class GroupedAttention:
    """Attention with a key and a value for each KV head; several query heads share one."""

    heads: int
    kv_heads: int
    head_dim: int
    has_qkv_bias: bool = False
    has_output_bias: bool = False

    #: The key and the value.
    vectors_per_head = 2
    #: Elements of norms inside the attention.
    norm_elements = 0

    def kv_heads_on_rank(self, tensor: int) -> int:
        """KV heads are cut as long as there are any; beyond that every rank has a copy of one."""
        return max(1, self.kv_heads // tensor)

    def kv_elements(self, tensor: int) -> int:
        """What a rank keeps of a token in one layer."""
        return self.vectors_per_head * self.kv_heads_on_rank(tensor) * self.head_dim

    @property
    def kv_cuts(self) -> int:
        """Into how many parts what is kept of a token can be cut."""
        return self.kv_heads

    def matrices(self, hidden: int, tensor: int) -> tuple[Matrix, ...]:
        query = self.heads // tensor * self.head_dim
        kv = self.kv_heads_on_rank(tensor) * self.head_dim
        return (
            Matrix(
                "self_attn.qkv_proj",
                hidden,
                (query, kv, kv),
                "outputs",
                has_bias=self.has_qkv_bias,
            ),
            Matrix("self_attn.o_proj", query, (hidden,), "inputs", has_bias=self.has_output_bias),
        )

    def obstacles(self, tensor: int) -> tuple[str, ...]:
        """Why this many ranks cannot share the attention."""
        if self.heads % tensor:
            return (f"tensor {tensor} does not divide {self.heads} attention heads",)
        small, large = sorted((self.kv_heads, tensor))
        if large % small:
            return (f"tensor {tensor} and {self.kv_heads} KV heads do not divide one another",)
        return ()


@dataclass(frozen=True, slots=True)
class LatentAttention:
    """DeepSeek's latent attention: one compressed vector of a token serves all heads."""

    heads: int
    #: None: queries are not compressed.
    query_rank: int | None
    kv_rank: int
    #: The parts of a query's and key's head without and with positions.
    plain_dim: int
    rotary_dim: int
    value_dim: int

    @property
    def norm_elements(self) -> int:
        return self.kv_rank + (self.query_rank or 0)

    def kv_elements(self, tensor: int) -> int:
        """What a rank keeps of a token in one layer: all of it, however many ranks there are."""
        del tensor
        return self.kv_rank + self.rotary_dim

    @property
    def kv_cuts(self) -> int:
        """Into how many parts what is kept of a token can be cut."""
        return 1

    def matrices(self, hidden: int, tensor: int) -> tuple[Matrix, ...]:
        heads = self.heads // tensor
        values = heads * self.value_dim
        return (
            *self._compression(hidden, heads * (self.plain_dim + self.rotary_dim)),
            Matrix(
                "self_attn.kv_b_proj",
                self.kv_rank,
                (heads * self.plain_dim + values,),
                "outputs",
            ),
            Matrix("self_attn.o_proj", values, (hidden,), "inputs"),
        )

    def _compression(self, hidden: int, query: int) -> tuple[Matrix, ...]:
        latent = self.kv_rank + self.rotary_dim
        if self.query_rank is None:
            return (
                Matrix("self_attn.kv_a_proj_with_mqa", hidden, (latent,), "none"),
                Matrix("self_attn.q_proj", hidden, (query,), "outputs"),
            )
        return (
            Matrix("self_attn.fused_qkv_a_proj", hidden, (self.query_rank, latent), "none"),
            Matrix("self_attn.q_b_proj", self.query_rank, (query,), "outputs"),
        )

    def obstacles(self, tensor: int) -> tuple[str, ...]:
        """Why this many ranks cannot share the attention."""
        if self.heads % tensor:
            return (f"tensor {tensor} does not divide {self.heads} attention heads",)
        return ()


Attention = GroupedAttention | LatentAttention
