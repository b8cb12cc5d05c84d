"""Where a stage finds its weights on its own node."""

from dataclasses import replace
from pathlib import Path

import pytest

from serving.replica.errors import WeightsMissing
from serving.replica.spec import ReplicaSpec
from serving.replica.weights import located

SPEC = ReplicaSpec(
    application="m.0",
    replica_set="m",
    served_name="m",
    source="org/name",
    window_tokens=9,
    tensor=1,
    pipeline=1,
    device="gpu",
    engine=(),
    grace_s=1,
)


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def spec(tmp_path: Path) -> ReplicaSpec:
    return replace(SPEC, roots=(str(tmp_path / "local"), str(tmp_path / "shared")))


def put(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def test_the_nodes_own_disk_comes_before_the_shared_one(spec: ReplicaSpec, tmp_path: Path) -> None:
    shared = put(tmp_path / "shared/org/name")
    assert located(spec, "n").source == str(shared)
    local = put(tmp_path / "local/org/name")
    assert located(spec, "n") == replace(spec, source=str(local))


def test_a_draft_is_no_checkpoint(spec: ReplicaSpec, tmp_path: Path) -> None:
    put(tmp_path / "local/org/.name.draft/files")
    shared = put(tmp_path / "shared/org/name")
    assert located(spec, "n").source == str(shared)


def test_a_root_in_the_hubs_own_layout_is_read(spec: ReplicaSpec, tmp_path: Path) -> None:
    repository = tmp_path / "shared/models--org--name"
    commit = put(repository / "snapshots/abc")
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text("abc\n")
    assert located(spec, "n").source == str(commit)


def test_what_is_in_the_hubs_cache_is_left_to_vllm(spec: ReplicaSpec, hub: Path) -> None:
    repository = hub / "models--org--name"
    put(repository / "snapshots/abc")
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text("abc")
    assert located(spec, "n") == spec


def test_weights_that_are_nowhere_are_said_with_where_it_looked(
    spec: ReplicaSpec, hub: Path
) -> None:
    with pytest.raises(WeightsMissing) as missing:
        located(spec, "10.0.0.7")
    said = str(missing.value)
    assert "\n" not in said
    for part in ("10.0.0.7", "org/name", *spec.roots, str(hub), "flotilla models stage"):
        assert part in said


@pytest.mark.parametrize("source", ["/own/model", "org/name"])
def test_without_roots_and_for_paths_vllm_has_the_word(source: str, spec: ReplicaSpec) -> None:
    assert located(replace(SPEC, source=source), "n").source == source
    assert located(replace(spec, source="/own/model"), "n").source == "/own/model"


def test_roots_travel_in_the_arguments(spec: ReplicaSpec) -> None:
    assert ReplicaSpec.from_args(spec.to_args()) == spec
    old = {key: value for key, value in SPEC.to_args().items() if key != "roots"}
    assert ReplicaSpec.from_args(old) == SPEC
