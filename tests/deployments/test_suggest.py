"""What would make a blocked fleet fit: every suggestion was tried."""

from collections.abc import Mapping
from typing import Any

from cluster.architecture import read_architecture
from cluster.inventory import Inventory
from deployments.catalogue import entry
from deployments.fleet import Fleet
from deployments.need import Facts
from deployments.suggest import Situation, suggestions
from tests.deployments.fleets import fleet_of
from tests.deployments.test_plan import LLAMA_8B, models, nodes

LLAMA_70B: Mapping[str, Any] = {
    **LLAMA_8B,
    "num_hidden_layers": 80,
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_attention_heads": 64,
}


def said(
    fleet: Fleet, inventory: Inventory, config: Mapping[str, Any] = LLAMA_8B
) -> dict[str, list[str]]:
    facts = Facts(read_architecture(config), "a test", config)
    situation = Situation(fleet, inventory, dict.fromkeys(fleet.served(), facts), {})
    found: dict[str, list[str]] = {}
    for each in suggestions(situation, situation.plan()):
        found.setdefault(each.model, []).append(each.change)
    return found


def test_a_fleet_that_fits_needs_no_suggestion() -> None:
    assert said(models(a=""), nodes(8)) == {}


def test_a_model_too_large_for_its_shape_is_told_window_cache_weights_and_shape() -> None:
    fleet = models(a="max_model_len: 131072, tensor: 2")
    assert said(fleet, nodes(8), LLAMA_70B)["a"] == [
        "a window of 15,360 tokens: `max_model_len: 15360`",
        "an FP8 checkpoint of it as `source`",
        "another shape: `tensor: 4, pipeline: 1`",
    ]


def test_an_fp8_cache_is_suggested_where_it_is_enough() -> None:
    fleet = models(a="max_model_len: 20480, tensor: 2")
    changes = said(fleet, nodes(8), LLAMA_70B)["a"]
    assert "an FP8 KV cache: `engine: {kv_cache_dtype: fp8}`" in changes


def test_a_full_cluster_is_told_fewer_replicas_and_otherwise_how_many_more_nodes() -> None:
    fleet = models(a="tensor: 8, replicas: {min: 2}", b="tensor: 8")
    assert said(fleet, nodes(8, 8)) == {"a": ["fewer replicas: `replicas: {min: 1}`"]}
    fleet = models(a="tensor: 8", b="tensor: 8", c="tensor: 8", d="tensor: 8")
    assert said(fleet, nodes(8, 8)) == {"c": ["1 more node like n2"], "d": ["2 more nodes like n2"]}


def test_two_ids_of_one_checkpoint_are_told_to_share_it() -> None:
    fleet = fleet_of("models:\n  hermes3-405b: {}\n  hermes3-405b-fp8-128k: {}\n")
    known = entry("hermes3-405b")
    assert known is not None
    sharing = "one deployment for two ids: `hermes3-405b: {replicas_of: hermes3-405b-fp8-128k}`"
    assert said(fleet, nodes(8), known.architecture) == {"hermes3-405b-fp8-128k": [sharing]}


def test_a_change_of_settings_is_joined_with_what_makes_room() -> None:
    fleet = models(a="max_model_len: 131072, tensor: 1", b="tensor: 8")
    changes = said(fleet, nodes(8), LLAMA_70B)["a"]
    assert changes[-1] == "another shape: `tensor: 4, pipeline: 1`, and 1 more node like n1"


def test_a_tensor_size_that_does_not_divide_the_heads_is_told_one_that_does() -> None:
    changes = said(models(a="tensor: 3"), nodes(8))["a"]
    assert changes == ["another shape: `tensor: 1, pipeline: 1`"]


def test_a_class_whose_fp8_form_was_not_counted_is_told_other_changes_only() -> None:
    known = entry("deepseek-coder-v2-lite-instruct")
    assert known is not None
    changes = said(models(a=""), nodes(8, kind="a10-24gb"), known.architecture)["a"]
    assert changes == ["another shape: `tensor: 2, pipeline: 1`"]


def test_what_no_node_of_the_kind_could_ever_hold_gets_no_suggestion() -> None:
    fleet = models(a="node_labels: {pool: huge}")
    assert said(fleet, nodes(8)) == {}
