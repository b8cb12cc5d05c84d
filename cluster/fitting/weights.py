"""How many bytes of weights one accelerator holds.

Counted are the parameters that vLLM 0.32.0 allocates before it loads a checkpoint. Not counted are
its buffers: the table of rotary angles, one for all layers (window x head_dim elements, 32 MiB for
131,072 x 128 in bf16), and scales of the KV cache, a few floats a layer; they belong to the
reserve.
"""

from cluster.architecture import Architecture
from cluster.fitting.matrix import Matrix
from cluster.fitting.quantisation import FLOAT_BYTES, HEAD
from cluster.shape import Stage

#: Rows of the vocabulary are padded to a multiple of this (`DEFAULT_VOCAB_PADDING_SIZE`,
#: layers/vocab_parallel_embedding.py).
VOCAB_PADDING = 64


def padded_vocab(vocab: int) -> int:
    return -(-vocab // VOCAB_PADDING) * VOCAB_PADDING


def stage_weight_bytes(
    architecture: Architecture, stage: Stage, tensor: int, dtype_bytes: int
) -> int:
    """What each of the stage's ranks holds; they all hold the same amount."""
    layers = sum(
        _layer_bytes(architecture, layer, tensor, dtype_bytes) for layer in stage.layer_numbers
    )
    return layers + _edge_bytes(architecture, stage, tensor, dtype_bytes)


def _layer_bytes(architecture: Architecture, layer: int, tensor: int, dtype_bytes: int) -> int:
    body = architecture.body
    matrices = sum(
        _matrix_bytes(architecture, f"model.layers.{layer}.{matrix.name}", matrix, dtype_bytes)
        for matrix in body.matrices(layer, tensor)
    )
    floats = body.mlp.float_elements(layer) * FLOAT_BYTES
    return matrices + body.norm_elements() * dtype_bytes + floats


def _edge_bytes(architecture: Architecture, stage: Stage, tensor: int, dtype_bytes: int) -> int:
    """Embedding, last norm and head, where the stage has them."""
    body = architecture.body
    is_first = stage.is_first or body.is_whole_on_stages
    is_last = stage.is_last or body.is_whole_on_stages
    head = Matrix(HEAD, body.hidden, (padded_vocab(body.vocab) // tensor,), "outputs")
    has_embedding = is_first or (body.is_tied and is_last)
    size = head.weights * dtype_bytes if has_embedding else 0
    if is_last and not body.is_tied:
        size += _matrix_bytes(architecture, HEAD, head, dtype_bytes)
    return size + (body.hidden * dtype_bytes if is_last else 0)


def _matrix_bytes(architecture: Architecture, name: str, matrix: Matrix, dtype_bytes: int) -> int:
    quantisation = architecture.quantisation
    if quantisation is not None and quantisation.covers(name):
        return quantisation.matrix_bytes(matrix, dtype_bytes)
    return (matrix.weights + matrix.biases) * dtype_bytes
