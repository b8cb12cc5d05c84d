"""Checkpoints on the nodes: looked for over a real ssh, and judged."""

from pathlib import Path
from typing import Any

import pytest

from cluster.checking.check import Check, State, ok
from cluster.checking.models import models
from cluster.model_copies import with_models
from cluster.preflight import Report
from cluster.staging import Found
from tests.cluster.node_answers import named
from tests.cluster.test_examination import inventory_of
from tests.sshd import Sshd, missing

NVME, NFS = "/nvme", "/nfs"
SMALL = "org/small"


def copy(node: str, **changes: Any) -> Found:
    found = {"root": NVME, "is_there": True, "digest": "aa", "revision": "", "wrong": ()}
    return Found(node=node, source=SMALL, **{**found, **changes})


def judged(*copies: Found, node: str = "n1") -> Check:
    """The verdict on a node beside two that are well."""
    found = {"n1": [], "n2": [copy("n2")], "n3": [copy("n3")], node: list(copies)}
    return models([SMALL], found, dict.fromkeys(found, NVME))["n1"]


def test_a_copy_that_is_whole_and_the_same_as_elsewhere_is_well() -> None:
    gone = copy("n1", root=NFS, is_there=False, digest="")
    assert judged(copy("n1"), gone).state is State.OK


@pytest.mark.parametrize(
    ("copies", "words"),
    [
        ([], "org/small is not there"),
        ([copy("n1", is_there=False, digest="")], "org/small is not there"),
        ([copy("n1", wrong=("model-1.safetensors",))], "not whole (model-1.safetensors)"),
        ([copy("n1", wrong=("x\x1b" * 200,)), copy("n1", root=NFS)], "not whole (x?x?"),
        ([copy("n1", cause="Input/output error")], "not whole (Input/output error)"),
        ([copy("n1", digest="bb")], "not that of most nodes"),
        ([copy("n1"), copy("n1", root=NFS, digest="bb")], "not that of most nodes"),
    ],
)
def test_what_cannot_be_served_as_elsewhere_fails(copies: list[Found], words: str) -> None:
    check = judged(*copies)
    assert check.state is State.FAIL
    assert words in check.text
    assert check.text.isprintable()
    assert len(check.text) < 200
    assert "flotilla models stage" in check.fix


@pytest.mark.parametrize(
    ("changes", "words"), [({"root": NFS}, "loads slowly"), ({"digest": ""}, "no manifest")]
)
def test_what_can_be_served_with_a_word_is_warned_of(changes: dict[str, Any], words: str) -> None:
    check = judged(copy("n1", **changes))
    assert check.state is State.WARN
    assert words in check.text


@pytest.mark.skipif(bool(missing()), reason=missing())
async def test_nodes_are_looked_at_over_ssh(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "shared" / SMALL).mkdir(parents=True)
    with Sshd("127.0.0.2") as first, Sshd("127.0.0.3", key=first.key, instead="exit 1") as broken:
        found = inventory_of(first, broken).model_dump(mode="json", exclude_unset=True)
        roots = {"local": f"{tmp_path}/local", "shared": f"{tmp_path}/shared"}
        inventory = type(inventory_of(first)).model_validate({**found, "storage": roots})
        reports = [Report(node, {"login": (ok("ssh", ""),)}) for node in inventory.nodes]
        after = await with_models(inventory, reports, [SMALL, "org/other"])
    check = named(after[0].checks, "models")
    assert check.state is State.FAIL
    assert check.text == "org/other is not there"
    assert named(after[1].checks, "models").state is State.FAIL
