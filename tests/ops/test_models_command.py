"""`flotilla models stage`, `check` and `seal` as their user sees them, over a real ssh."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cluster.manifest import NAME, parse_manifest
from tests.cluster.checkpoints import FILES, SOURCE, put
from tests.ops.test_cli import flotilla
from tests.sshd import Sshd, missing

FLEET = f"""
inventory: nodes.yaml
models:
  m: {{source: {SOURCE}, max_model_len: 9}}
  other: {{source: org/other, max_model_len: 9}}
  own: {{source: /own/model, max_model_len: 9}}
"""

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with Sshd() as running:
        yield running


@pytest.fixture
def fleet(server: Sshd, tmp_path: Path) -> Path:
    """Of two nodes, whose shared root has one of the two checkpoints."""
    write_inventory(server, tmp_path, shared=True)
    put(tmp_path / "shared")
    (tmp_path / "fleet.yaml").write_text(FLEET)
    return tmp_path / "fleet.yaml"


def write_inventory(server: Sshd, tmp_path: Path, *, shared: bool) -> None:
    nodes = []
    for number in (1, 2):
        local = tmp_path / f"node-{number}"
        local.mkdir(exist_ok=True)
        storage = {"local": str(local), **({"shared": str(tmp_path / "shared")} if shared else {})}
        address = f"127.0.0.{number}"
        nodes.append({"name": local.name, "address": address, "storage": storage})
    # All of loopback is one machine, but sshd listens on one address of it.
    nodes[1]["address"] = "localhost"
    inventory = {
        "name": "c",
        "ssh": {"user": server.ssh.user, "key": server.ssh.key, "port": server.port},
        "accelerators": {"kind": "h100-sxm-80gb", "count": 8},
        "nodes": nodes,
    }
    (tmp_path / "nodes.yaml").write_text(yaml.safe_dump(inventory))


def test_what_is_there_is_staged_and_what_is_not_is_said(fleet: Path, tmp_path: Path) -> None:
    result = flotilla("models", "stage", fleet)
    assert result.exit_code == 1
    assert "2 staged, 2 failed" in result.stdout
    said = [line for line in result.stderr.splitlines() if line.startswith("flotilla: ")]
    assert [line.split(": ")[1:3] for line in said] == [
        ["node-1", "org/other"],
        ["node-2", "org/other"],
    ]
    assert "flotilla models pull" in said[0]
    assert (tmp_path / "node-2" / SOURCE / "model-1.safetensors").exists()


def test_one_model_can_be_staged_by_its_name(fleet: Path) -> None:
    result = flotilla("models", "stage", fleet, "m", "--json")
    assert result.exit_code == 0
    found = [(each["node"], each["source"], each["state"]) for each in json.loads(result.stdout)]
    assert found == [("node-1", SOURCE, "staged"), ("node-2", SOURCE, "staged")]


@pytest.mark.parametrize("name", ["own", "nobody"])
def test_a_model_that_has_nothing_to_stage_is_said(fleet: Path, name: str) -> None:
    result = flotilla("models", "stage", fleet, name)
    assert result.exit_code == 1
    assert result.stderr.startswith("flotilla: ")
    assert len(result.stderr.splitlines()) == 1


def test_without_an_inventory_it_asks_for_one(fleet: Path) -> None:
    fleet.write_text(FLEET.replace("inventory: nodes.yaml", ""))
    result = flotilla("models", "stage", fleet)
    assert (result.exit_code, "--inventory FILE" in result.stderr) == (1, True)


def test_nodes_that_share_no_root_are_pushed_to(server: Sshd, fleet: Path, tmp_path: Path) -> None:
    write_inventory(server, tmp_path, shared=False)
    result = flotilla("models", "stage", fleet, "m")
    assert result.exit_code == 1
    assert "--from DIR" in result.stderr
    result = flotilla("models", "stage", fleet, "m", "--from", tmp_path / "shared")
    assert result.exit_code == 0, result.output
    for number in (1, 2):
        assert (tmp_path / f"node-{number}" / SOURCE / NAME).exists()


def test_a_check_sees_a_byte_that_has_changed(fleet: Path, tmp_path: Path) -> None:
    assert flotilla("models", "stage", fleet, "m").exit_code == 0
    result = flotilla("models", "check", fleet, "m", "--json")
    assert result.exit_code == 0, result.output
    assert [each["state"] for each in json.loads(result.stdout)] == ["ok", "ok"]
    path = tmp_path / "node-2" / SOURCE / "model-1.safetensors"
    path.write_bytes(b"x" + FILES["model-1.safetensors"][1:])
    assert flotilla("models", "check", fleet, "m", "--sizes-only").exit_code == 0
    result = flotilla("models", "check", fleet, "m")
    assert result.exit_code == 1
    assert "node-2" in result.stdout
    assert "is not whole (model-1.safetensors)" in result.stdout


def test_a_checkpoint_of_ones_own_is_sealed_and_staged(fleet: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shared/org/other"
    folder.mkdir()
    for name, body in {"config.json": b"{}", "a.safetensors": b"123", "notes.md": b"x"}.items():
        (folder / name).write_bytes(body)
    assert flotilla("models", "seal", folder).stdout == "org/other: 2 files, 5 bytes\n"
    sealed = parse_manifest((folder / NAME).read_bytes())
    assert {file.name for file in sealed.files} == {"config.json", "a.safetensors"}
    assert flotilla("models", "stage", fleet, "other").exit_code == 0
    assert not (tmp_path / "node-1/org/other/notes.md").exists()


def test_a_folder_without_weights_is_not_sealed(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        result = flotilla("models", "seal", folder)
        assert result.exit_code == 1
        assert "is no checkpoint" in result.stderr


def test_a_linked_file_is_not_sealed(tmp_path: Path) -> None:
    folder = tmp_path / "org/own"
    folder.mkdir(parents=True)
    (tmp_path / "elsewhere").write_bytes(b"123")
    (folder / "a.safetensors").symlink_to(tmp_path / "elsewhere")
    result = flotilla("models", "seal", folder)
    assert result.exit_code == 1
    assert "symbolic link" in result.stderr
