"""A model's facts come from its config.json where it is reachable, else from the catalogue."""

import json
from pathlib import Path
from typing import Any

import pytest

from cluster.inventory import Inventory
from deployments.facts import facts_of
from deployments.inventory_file import parse_inventory
from deployments.need import Facts
from deployments.plan import plan
from tests.deployments.fleets import fleet_of
from tests.deployments.test_plan import LLAMA_8B


@pytest.fixture(autouse=True)
def _empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def inventory(root: Path) -> Inventory:
    text = (
        f"name: c\nstorage: {{shared: {root}}}\naccelerators: {{kind: h100-sxm-80gb, count: 8}}\n"
        "nodes:\n  - {name: n1, address: 10.0.0.1}\n"
    )
    return parse_inventory(text.encode(), "nodes.yaml")


def checkpoint(directory: Path, config: dict[str, Any], stored_bytes: int | None = None) -> None:
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps(config))
    if stored_bytes is not None:
        index = {"metadata": {"total_size": stored_bytes}, "weight_map": {}}
        (directory / "model.safetensors.index.json").write_text(json.dumps(index))


def facts(root: Path, model: str, name: str = "m") -> Facts:
    return facts_of(fleet_of(f"models:\n  {name}: {{{model}}}\n"), inventory(root))[name]


def test_a_config_under_a_storage_root_is_read(tmp_path: Path) -> None:
    checkpoint(tmp_path / "org" / "x", {**LLAMA_8B, "num_hidden_layers": 7})
    found = facts(tmp_path, "source: org/x, max_model_len: 9")
    assert found.architecture is not None
    assert found.architecture.body.layers == 7
    assert found.origin == str(tmp_path / "org" / "x" / "config.json")


def test_a_config_in_the_hubs_own_cache_is_read(tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--org--x"
    checkpoint(repository / "snapshots" / "abc", dict(LLAMA_8B))
    checkpoint(repository / "snapshots" / "fff", {**LLAMA_8B, "num_hidden_layers": 7})
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    found = facts(tmp_path, "source: org/x, max_model_len: 9")
    assert found.origin == str(repository / "snapshots" / "abc" / "config.json")


def test_a_config_that_is_reached_is_believed_before_the_catalogue(tmp_path: Path) -> None:
    source = tmp_path / "NousResearch" / "Hermes-3-Llama-3.1-8B"
    known = facts(tmp_path, "", "hermes3-8b")
    assert known.origin.startswith("the catalogue (")
    checkpoint(source, {**LLAMA_8B, "num_hidden_layers": 7})
    found = facts(tmp_path, "", "hermes3-8b")
    assert found.origin == str(source / "config.json")


def test_another_source_is_not_described_by_the_catalogue(tmp_path: Path) -> None:
    found = facts(tmp_path, "source: /nowhere", "hermes3-8b")
    assert found.architecture is None
    assert found.origin == "no config.json of /nowhere is reachable from here"


def test_overrides_of_the_config_count_as_they_do_for_vllm(tmp_path: Path) -> None:
    checkpoint(tmp_path / "x", {**LLAMA_8B, "max_position_embeddings": 100})
    override = "engine: {hf_overrides: {max_position_embeddings: 200}}"
    found = facts(tmp_path, f"source: {tmp_path}/x, max_model_len: 200, {override}")
    assert found.architecture is not None
    assert found.architecture.window_tokens == 200


def test_a_class_that_nobody_has_counted_is_not_checked(tmp_path: Path) -> None:
    checkpoint(tmp_path / "x", {"architectures": ["Nobody"]})
    found = facts(tmp_path, f"source: {tmp_path}/x, max_model_len: 9")
    assert (found.architecture, found.is_broken) == (None, False)
    assert "config.json" in found.origin


@pytest.mark.parametrize("text", ["{", "[]", "5"])
def test_a_config_that_cannot_be_read_blocks_its_model(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "config.json").write_text(text)
    fleet = fleet_of(f"models:\n  m: {{source: {tmp_path}/x, max_model_len: 9}}\n")
    made = plan(fleet, inventory(tmp_path), facts_of(fleet, inventory(tmp_path)), {})
    assert [problem.path for problem in made.blocks()] == [("models", "m")]
    assert f"{tmp_path}/x/config.json" in made.blocks()[0].message


@pytest.mark.parametrize("source", ["/" + "a" * 300, "/dev/null/x"])
def test_a_source_that_no_machine_has_is_not_reachable(tmp_path: Path, source: str) -> None:
    assert "reachable" in facts(tmp_path, f"source: {source}, max_model_len: 9").origin


@pytest.mark.parametrize(("stored_bytes", "is_noted"), [(16_060_522_496, False), (2 << 34, True)])
def test_files_heavier_than_the_formula_are_noted(
    tmp_path: Path, stored_bytes: int, is_noted: bool
) -> None:
    checkpoint(tmp_path / "x", dict(LLAMA_8B), stored_bytes)
    fleet = fleet_of(f"models:\n  m: {{source: {tmp_path}/x, max_model_len: 9}}\n")
    made = plan(fleet, inventory(tmp_path), facts_of(fleet, inventory(tmp_path)), {})
    assert bool(made.notes) is is_noted
