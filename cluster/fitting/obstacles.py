"""Why a model cannot be cut into a shape, or cannot have a window, whatever memory there is."""

from collections.abc import Iterator

from cluster.accelerator import Accelerator
from cluster.architecture import Architecture
from cluster.fitting.engine_settings import EngineSettings
from cluster.fitting.quantisation import DEPRECATED, GPU_ONLY
from cluster.fitting.weights import padded_vocab
from cluster.shape import Shape


def shape_obstacles(
    architecture: Architecture, shape: Shape, layer_partition: tuple[int, ...] | None
) -> tuple[str, ...]:
    """Every reason, one sentence each."""
    body, tensor = architecture.body, shape.tensor
    reasons = [*body.obstacles(tensor), *_pipeline_obstacles(body.layers, shape, layer_partition)]
    if padded_vocab(body.vocab) % tensor:
        rows = padded_vocab(body.vocab)
        reasons.append(f"tensor {tensor} does not divide the padded vocabulary, {rows:,}")
    return (*reasons, *dict.fromkeys(_quantisation_obstacles(architecture, tensor)))


def engine_obstacles(
    architecture: Architecture, settings: EngineSettings, accelerator: Accelerator
) -> Iterator[str]:
    """What vLLM refuses before it looks at memory."""
    window, largest = settings.window_tokens, architecture.window_tokens
    if window > largest:
        yield f"a window of {window:,} tokens exceeds the model's, {largest:,}"
    method = architecture.quantisation.method if architecture.quantisation else ""
    if method in DEPRECATED and not settings.allow_deprecated_quantization:
        yield f"vLLM takes {method} weights only with `allow_deprecated_quantization: true`"
    if method in GPU_ONLY and accelerator.is_cpu:
        yield f"vLLM has no kernels for {method} weights on CPU"


def _pipeline_obstacles(
    layers: int, shape: Shape, layer_partition: tuple[int, ...] | None
) -> Iterator[str]:
    if shape.pipeline > layers:
        yield f"pipeline {shape.pipeline} exceeds {layers} layers"
    if layer_partition is None:
        return
    if len(layer_partition) != shape.pipeline or min(layer_partition) < 1:
        yield f"the layer partition {layer_partition} does not give {shape.pipeline} stages layers"
    if sum(layer_partition) != layers:
        yield f"the layer partition {layer_partition} does not add up to {layers} layers"


def _quantisation_obstacles(architecture: Architecture, tensor: int) -> Iterator[str]:
    quantisation, body = architecture.quantisation, architecture.body
    if quantisation is None:
        return
    for layer in range(body.layers):
        for matrix in body.matrices(layer, tensor):
            if quantisation.covers(f"model.layers.{layer}.{matrix.name}"):
                yield from quantisation.obstacles(matrix, tensor)
