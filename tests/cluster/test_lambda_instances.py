"""Instances of the Cloud API become nodes only where all that a node needs is known."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.errors import CloudUnreachable
from cluster.lambda_instances import draft_of_instances
from deployments.errors import InventoryInvalid
from deployments.inventory_file import drafted, parse_inventory
from deployments.inventory_text import inventory_text
from tests.ops.fake_lambda import instance

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def typed(description: str) -> dict[str, Any]:
    return {"gpu_description": description, "specs": {"gpus": 8}}


@pytest.mark.parametrize(
    ("description", "kind"),
    [
        ("H100 (80 GB SXM5)", "h100-sxm-80gb"),
        ("H100 (80 GB PCIe)", "h100-pcie-80gb"),
        ("B200 (180 GB SXM6)", "b200-180gb"),
        ("A100 (40 GB SXM4)", "a100-40gb"),
        ("A10 (24 GB PCIe)", "a10-24gb"),
        ("GH200 (96 GB)", "gh200-96gb"),
    ],
)
def test_the_kind_is_read_from_the_description(description: str, kind: str) -> None:
    draft = draft_of_instances("c", [instance(1, instance_type=typed(description))])
    assert draft.value["accelerators"] == {"kind": kind, "count": 8}


@pytest.mark.parametrize("description", ["H100 (80 GB)", "X900 (80 GB SXM5)", "H100 SXM5", ""])
def test_a_kind_that_is_not_certain_is_not_guessed(description: str) -> None:
    with pytest.raises(CloudUnreachable, match="no kind that is known"):
        draft_of_instances("c", [instance(1, instance_type=typed(description))])


def test_only_a_file_system_on_every_node_is_shared() -> None:
    other = [{"mount_point": "/data"}]
    draft = draft_of_instances("c", [instance(1), instance(2, file_system_mounts=other)])
    assert "storage" not in draft.value
    assert any("no file system" in note for note in draft.notes)


@given(
    st.dictionaries(
        st.sampled_from(["name", "hostname", "private_ip", "status", "file_system_mounts"]),
        ANY_JSON,
    ),
    ANY_JSON,
)
def test_any_answer_is_an_inventory_or_an_error(changed: dict[str, Any], other: Any) -> None:
    with suppress(CloudUnreachable, InventoryInvalid):
        draft = draft_of_instances("c", [instance(1), {**instance(2), **changed}, other])
        made = drafted(draft, "c")
        assert parse_inventory(inventory_text(made, draft.notes).encode(), "made") == made
