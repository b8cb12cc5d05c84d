"""A model's files on a disk."""

import json
from pathlib import Path

import pytest

from cluster.architecture import read_architecture
from cluster.checkpoint import MAX_CONFIG_BYTES, read_checkpoint
from cluster.errors import CheckpointUnreadable
from cluster.fitting.weights import stage_weight_bytes
from cluster.shape import stages
from tests.cluster.architectures import TINY_LLAMA

DEMO = Path(__file__).parents[2] / "deployments" / "demo" / "model"
INDEX = "model.safetensors.index.json"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(TINY_LLAMA))
    return tmp_path


def test_a_config_alone_is_enough(model: Path) -> None:
    found = read_checkpoint(model)
    assert found.config == TINY_LLAMA
    assert found.tensor_bytes is None


def test_the_index_says_how_much_there_is(model: Path) -> None:
    (model / INDEX).write_text(json.dumps({"metadata": {"total_size": 12}, "weight_map": {}}))
    assert read_checkpoint(model).tensor_bytes == 12


def test_a_single_file_says_it_by_its_header(model: Path) -> None:
    header = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    (model / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"8" * 8)
    assert read_checkpoint(model).tensor_bytes == 8


def test_the_demo_models_file_holds_the_bytes_of_the_formula() -> None:
    """It is stored in 16 bit, whatever its config.json says, and needs no padding."""
    found = read_checkpoint(DEMO)
    architecture = read_architecture(found.config)
    (stage,) = stages((architecture.body.layers,))
    assert found.tensor_bytes == stage_weight_bytes(architecture, stage, 1, 2)
    assert found.tensor_bytes == architecture.parameters * 2


def test_modelopts_own_file_counts_as_a_part_of_the_config(model: Path) -> None:
    beside = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}}
    (model / "hf_quant_config.json").write_text(json.dumps(beside))
    config = read_checkpoint(model).config
    assert config["quantization_config"] == beside
    quantisation = read_architecture(config).quantisation
    assert quantisation is not None
    assert quantisation.method == "modelopt"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", b"{", "config.json is no JSON"),
        ("config.json", b"[" * 100_000, "config.json is no JSON"),
        ("config.json", b"\xff", "config.json is no JSON"),
        ("config.json", b"[]", "config.json must hold a JSON object"),
        ("config.json", b" " * (MAX_CONFIG_BYTES + 1), "config.json is larger than"),
        (INDEX, b"{}", "`metadata.total_size` is no number of bytes"),
        (INDEX, b'{"metadata": {"total_size": -1}}', "`metadata.total_size` is no number"),
        (INDEX, b'{"metadata": {"total_size": true}}', "`metadata.total_size` is no number"),
        ("model.safetensors", b"\1", "is cut short, or no safetensors file"),
        ("model.safetensors", b"\377" * 20, "is cut short, or no safetensors file"),
        ("model.safetensors", b"\0" * 8, "is cut short, or no safetensors file"),
    ],
)
def test_a_broken_file_is_named(model: Path, name: str, content: bytes, message: str) -> None:
    (model / name).write_bytes(content)
    with pytest.raises(CheckpointUnreadable) as refusal:
        read_checkpoint(model)
    assert message in str(refusal.value)
    assert str(model / name) in str(refusal.value)


def test_a_missing_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnreadable, match=r"config\.json cannot be read: No such file"):
        read_checkpoint(tmp_path)
