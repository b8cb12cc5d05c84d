"""What a model is made of, read from its config.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cluster.fitting.attention import GroupedAttention
from cluster.fitting.body import Body
from cluster.fitting.fp8_formats import read_quantisation
from cluster.fitting.keys import Keys
from cluster.fitting.mlp import Dense
from cluster.fitting.model_classes import CLASSES
from cluster.fitting.quantisation import HEAD, Quantisation
from cluster.fitting.window import read_window

Dtype = Literal["float32", "float16", "bfloat16"]
DTYPES: Mapping[str, Dtype] = {
    "float32": "float32",
    "float": "float32",
    "float16": "float16",
    "half": "float16",
    "bfloat16": "bfloat16",
}


@dataclass(frozen=True, slots=True)
class Architecture:
    """A model as config.json describes it."""

    model_class: str
    body: Body
    #: What the checkpoint's unquantised weights are kept in.
    dtype: Dtype
    #: The largest window that vLLM accepts for it.
    window_tokens: int
    quantisation: Quantisation | None = None

    @property
    def parameters(self) -> int:
        """All parameters, without padding and without scales."""
        body = self.body
        layers = sum(
            body.norm_elements()
            + body.mlp.float_elements(layer)
            + sum(matrix.weights + matrix.biases for matrix in body.matrices(layer, 1))
            for layer in range(body.layers)
        )
        return layers + body.hidden + (1 if body.is_tied else 2) * body.vocab * body.hidden


def read_architecture(config: Mapping[str, Any]) -> Architecture:
    """Raises ArchitectureUnknown naming the key that is missing, wrong or not supported."""
    keys = Keys(config)
    model_class = _model_class(keys)
    model_type, read_body = CLASSES[model_class]
    if keys.text("model_type") != model_type:
        raise keys.wrong("model_type", f"must be {model_type} for a {model_class}")
    keys.refuse("hidden_act", "silu")
    body = read_body(keys)
    return Architecture(
        model_class, body, _dtype(keys), read_window(keys), _quantisation(keys, body)
    )


def _model_class(keys: Keys) -> str:
    named = keys.texts("architectures")
    if len(named) != 1 or named[0] not in CLASSES:
        raise keys.wrong("architectures", f"must name one of {', '.join(sorted(CLASSES))}")
    return named[0]


def _dtype(keys: Keys) -> Dtype:
    key = "dtype" if keys.has("dtype") else "torch_dtype"
    found = DTYPES.get(keys.text(key))
    if found is None:
        raise keys.wrong(key, f"must be one of {', '.join(DTYPES)}")
    return found


def _quantisation(keys: Keys, body: Body) -> Quantisation | None:
    names = tuple(
        f"model.layers.{layer}.{matrix.name}"
        for layer in range(body.layers)
        for matrix in body.matrices(layer, 1)
    )
    found = read_quantisation(keys, names)
    is_plain = isinstance(body.attention, GroupedAttention) and isinstance(body.mlp, Dense)
    if found is not None and not is_plain:
        raise keys.wrong("quantization_config", "has no formula for experts or latent attention")
    if found is not None and found.covers(HEAD) and body.is_tied:
        raise keys.wrong("quantization_config", "quantises a head that is the embedding too")
    return found
