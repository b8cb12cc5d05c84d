"""A model's files on a disk: its config.json, and how many bytes of weights there are. Reads no
weights.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.errors import CheckpointUnreadable

MIB = 1 << 20
MAX_CONFIG_BYTES = 4 * MIB
#: The index names every tensor; that of a model with ten thousand experts has some 20 MiB.
MAX_INDEX_BYTES = 64 * MIB
#: A safetensors file begins with the length of its header, and says itself how long that may be.
LENGTH_BYTES = 8
MAX_HEADER_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is known of a checkpoint without loading it."""

    config: Mapping[str, Any]
    #: Bytes of all tensors as they are stored; None where there are no weights in this format.
    tensor_bytes: int | None


def read_checkpoint(directory: Path) -> Checkpoint:
    """Raises CheckpointUnreadable naming the file."""
    return Checkpoint(_config(directory), _tensor_bytes(directory))


def _config(directory: Path) -> dict[str, Any]:
    """config.json; ModelOpt's older builds keep their quantisation in a file of its own, which
    vLLM reads as a part of it.
    """
    config = _read_object(directory / "config.json", MAX_CONFIG_BYTES)
    beside = directory / "hf_quant_config.json"
    if config.get("quantization_config") is None and beside.is_file():
        config["quantization_config"] = _read_object(beside, MAX_CONFIG_BYTES)
    return config


def _tensor_bytes(directory: Path) -> int | None:
    index = directory / "model.safetensors.index.json"
    single = directory / "model.safetensors"
    if index.is_file():
        return _indexed_bytes(index)
    return _bytes_behind_header(single) if single.is_file() else None


def _indexed_bytes(index: Path) -> int:
    metadata = _read_object(index, MAX_INDEX_BYTES).get("metadata")
    size = metadata.get("total_size") if isinstance(metadata, dict) else None
    if type(size) is not int or size < 0:
        raise CheckpointUnreadable(f"{index}: `metadata.total_size` is no number of bytes")
    return size


def _bytes_behind_header(path: Path) -> int:
    """The format allows no gaps, so all that follows the header is tensors."""
    length = int.from_bytes(_read(path, LENGTH_BYTES, is_whole=False), "little")
    size = path.stat().st_size - LENGTH_BYTES - length
    if not 0 < length <= MAX_HEADER_BYTES or size < 0:
        raise CheckpointUnreadable(f"{path} is cut short, or no safetensors file")
    return size


def _read_object(path: Path, most_bytes: int) -> dict[str, Any]:
    try:
        found = json.loads(_read(path, most_bytes))
    except (ValueError, RecursionError) as error:
        raise CheckpointUnreadable(f"{path} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise CheckpointUnreadable(f"{path} must hold a JSON object")
    return found


def _read(path: Path, most_bytes: int, *, is_whole: bool = True) -> bytes:
    """At most so many bytes; a file that should end there and does not is refused."""
    try:
        with path.open("rb") as file:
            found = file.read(most_bytes + is_whole)
    except OSError as error:
        raise CheckpointUnreadable(f"{path} cannot be read: {error.strerror}") from error
    if len(found) > most_bytes:
        raise CheckpointUnreadable(f"{path} is larger than {most_bytes:,} bytes")
    return found
