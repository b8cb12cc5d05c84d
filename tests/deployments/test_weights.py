"""Which checkpoints a fleet needs, and which nodes may have to hold them."""

import pytest

from cluster.inventory import Inventory
from deployments.inventory_file import parse_inventory
from deployments.weights import sources, sources_on, storage_roots
from tests.deployments.fleets import fleet_of

FLEET = """
models:
  big: {source: org/big, max_model_len: 9}
  big-short: {replicas_of: big, max_model_len: 5}
  same: {source: org/big, max_model_len: 7}
  own: {source: /own/model, max_model_len: 9}
  far: {source: org/far, max_model_len: 9, node_labels: {zone: far}}
  gone: {unavailable: no weights}
"""


def inventory(nodes: str, storage: str = "{local: /nvme, shared: /shared}") -> Inventory:
    text = f"name: c\nstorage: {storage}\naccelerators: {{kind: h100-sxm-80gb, count: 8}}\n"
    return parse_inventory(f"{text}nodes:\n{nodes}".encode(), "nodes.yaml")


def test_a_checkpoint_is_needed_once_for_all_its_models() -> None:
    assert sources(fleet_of(FLEET)) == {"org/big": ("big", "same"), "org/far": ("far",)}


def test_a_model_that_shares_replicas_means_their_checkpoint() -> None:
    assert sources(fleet_of(FLEET), ["big-short", "big"]) == {"org/big": ("big",)}


def test_a_path_is_nobodys_to_bring() -> None:
    assert sources(fleet_of(FLEET), ["own"]) == {}


@pytest.mark.parametrize("name", ["gone", "unknown"])
def test_a_model_without_weights_is_refused_by_name(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        sources(fleet_of(FLEET), [name])


def test_a_node_holds_all_that_its_labels_do_not_keep_away() -> None:
    nodes = "  - {name: a, address: 10.0.0.1}\n"
    nodes += "  - {name: b, address: 10.0.0.2, labels: {zone: far}}\n"
    fleet = fleet_of(FLEET)
    near, far = inventory(nodes).nodes
    assert sources_on(fleet, near, sources(fleet)) == ("org/big",)
    assert sources_on(fleet, far, sources(fleet)) == ("org/big", "org/far")


def test_own_disks_come_before_shared_ones() -> None:
    nodes = "  - {name: a, address: 10.0.0.1, storage: {local: /b, shared: /s}}\n"
    nodes += "  - {name: b, address: 10.0.0.2}\n"
    assert storage_roots(inventory(nodes)) == ("/nvme", "/b", "/shared", "/s")
    assert storage_roots(inventory("  - {name: a, address: 10.0.0.1}\n", "{}")) == ()
