"""Which files of a checkpoint serving needs. Pure.

Weights are taken in one format: safetensors where there are any, as vLLM does. Copies in the
formats of others are as large as the weights themselves, or larger.
"""

from collections.abc import Iterable
from posixpath import basename

#: Settings, tokenizers, chat templates, a model's own code; and its licence, which goes with it.
BESIDE = (".json", ".jinja", ".txt", ".model", ".tiktoken", ".py", ".spm", ".vocab")
LICENCE = ("LICENSE", "LICENCE", "NOTICE", "USE_POLICY")
SAFE = ".safetensors"
#: What vLLM loads where there are no safetensors.
OTHER = (".bin", ".pt")
#: A second copy under names of its own, in the format of the model's makers.
CONSOLIDATED = "consolidated"
#: Folders that vLLM does not look into.
LEFT_OUT = ("original/", "onnx/", "openvino/", "gguf/", "coreml/")
#: Files of that ending that are no weights of the model.
TRAINING = ("training_args.bin", "optimizer.bin", "scheduler.bin", "optimizer.pt", "scheduler.pt")


def needed(names: Iterable[str]) -> list[str]:
    """In their order; no weights at all where there are none that vLLM loads."""
    kept = [name for name in names if not _is_left_out(name)]
    weights = set(_weights(kept))
    return [name for name in kept if name in weights or _is_beside(name)]


def has_weights(names: Iterable[str]) -> bool:
    return any(name.endswith((SAFE, *OTHER)) for name in names)


def _weights(names: list[str]) -> list[str]:
    safe = [name for name in names if name.endswith(SAFE)]
    plain = [name for name in safe if not basename(name).startswith(CONSOLIDATED)]
    other = [name for name in names if name.endswith(OTHER) and basename(name) not in TRAINING]
    return plain or safe or other


def _is_beside(name: str) -> bool:
    return name.endswith(BESIDE) or basename(name).startswith(LICENCE)


def _is_left_out(name: str) -> bool:
    return name.startswith(LEFT_OUT) or any(part.startswith(".") for part in name.split("/"))
