"""`flotilla models pull` against a hub on this machine: what is brought, what is gone on with, what
is refused and in which words.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub.constants
import pytest
from click.testing import Result

from cluster.checkpoint_folder import CheckpointFolder
from cluster.manifest import NAME, Manifest, parse_manifest
from tests.ops.fake_hub import COMMIT, TOKEN, Cut, FakeHub, demo_files
from tests.ops.test_cli import flotilla
from tests.small_disk import small_disk

DEMO = "org/demo"
WEIGHTS = "model.safetensors"
#: The client writes by whole chunks; those of the real one are as large as our weights.
CHUNK_BYTES = 1 << 16
MIDDLE = 30 * CHUNK_BYTES


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", CHUNK_BYTES)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    # Its waits between attempts.
    for module in ("file_download", "utils._http"):
        fake = SimpleNamespace(sleep=lambda _: None)
        monkeypatch.setattr(f"huggingface_hub.{module}.time", fake)
    with FakeHub({DEMO: demo_files()}).running() as fake_hub:
        monkeypatch.setenv("HF_ENDPOINT", fake_hub.url)
        yield fake_hub


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


def pull(root: Path, *names: str) -> Result:
    return flotilla("models", "pull", *(names or (DEMO,)), "--to", str(root))


def refused(result: Result) -> str:
    """The one line that says why."""
    assert result.exit_code == 1
    lines = [line for line in result.stderr.splitlines() if line.startswith("flotilla: ")]
    assert len(lines) == 1
    assert "Traceback" not in result.output
    return lines[0]


def manifest(root: Path) -> Manifest:
    return parse_manifest((root / DEMO / NAME).read_bytes())


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_what_serving_needs_is_there_with_its_digests(hub: FakeHub, root: Path) -> None:
    result = pull(root)
    assert result.exit_code == 0, result.output
    made = manifest(root)
    assert (made.source, made.revision) == (DEMO, COMMIT)
    files = hub.repositories[DEMO]
    expected = {WEIGHTS, "config.json", "tokenizer.json", "tokenizer_config.json",
                "generation_config.json", "chat_template.jinja", "LICENSE"}  # fmt: skip
    assert {file.name for file in made.files} == expected
    assert names(root) == {f"{DEMO}/{name}" for name in (*expected, NAME)}
    for file in made.files:
        content = (root / DEMO / file.name).read_bytes()
        assert content == files[file.name]
        assert file.sha256 == hashlib.sha256(content).hexdigest()


def test_a_second_pull_asks_nobody(hub: FakeHub, root: Path) -> None:
    pull(root)
    hub.asked.clear()
    hub.commit = "b" * 40
    result = pull(root)
    assert (result.exit_code, hub.asked) == (0, [])
    assert "1 present" in result.stdout


def test_the_result_is_there_as_json(hub: FakeHub, root: Path) -> None:
    result = flotilla("models", "pull", DEMO, "--to", str(root), "--json")
    (found,) = json.loads(result.stdout)
    assert (found["node"], found["source"], found["state"]) == ("here", DEMO, "staged")
    assert found["size_bytes"] == manifest(root).size_bytes


def test_a_cut_connection_is_gone_on_with_where_it_was_cut(hub: FakeHub, root: Path) -> None:
    hub.faults = {WEIGHTS: [Cut(MIDDLE)]}
    assert pull(root).exit_code == 0
    assert hub.ranges(WEIGHTS) == ["", f"bytes={MIDDLE}-"]
    assert (root / DEMO / WEIGHTS).read_bytes() == hub.repositories[DEMO][WEIGHTS]


def test_a_pull_that_broke_off_goes_on_at_its_commit(hub: FakeHub, root: Path) -> None:
    hub.faults = {WEIGHTS: [Cut(MIDDLE), 503]}
    assert "the hub answered 503: what has come is kept, run it again" in refused(pull(root))
    assert not (root / DEMO).exists()
    hub.asked.clear()
    assert pull(root).exit_code == 0
    assert hub.ranges(WEIGHTS) == [f"bytes={MIDDLE}-"]
    assert hub.asked[0][1] == f"/api/models/{DEMO}/revision/{COMMIT}"
    assert names(root / "org") == {f"demo/{name}" for name in names(root / DEMO)}


def test_a_server_that_knows_no_ranges_sends_all_again(hub: FakeHub, root: Path) -> None:
    hub.knows_ranges, hub.faults = False, {WEIGHTS: [Cut(MIDDLE)]}
    assert pull(root).exit_code == 0
    assert (root / DEMO / WEIGHTS).read_bytes() == hub.repositories[DEMO][WEIGHTS]


def test_too_many_requests_are_waited_for(hub: FakeHub, root: Path) -> None:
    hub.faults = {WEIGHTS: [429, 429]}
    assert pull(root).exit_code == 0


def test_too_many_requests_for_too_long_end_the_pull(hub: FakeHub, root: Path) -> None:
    hub.faults = {WEIGHTS: [429] * 20}
    assert "the hub wants fewer requests: wait some minutes" in refused(pull(root))


@pytest.mark.parametrize("name", [WEIGHTS, "config.json"])
def test_a_file_with_another_digest_is_never_published(hub: FakeHub, root: Path, name: str) -> None:
    body = hub.repositories[DEMO][name]
    hub.swapped = {name: body[:-1] + bytes([body[-1] ^ 1])}
    assert f"{name} came with another digest than the hub says" in refused(pull(root))
    assert not (root / DEMO).exists()
    hub.swapped = {}
    assert pull(root).exit_code == 0


def test_a_gated_repository_names_its_page_and_the_variable(hub: FakeHub, root: Path) -> None:
    hub.is_gated = True
    said = refused(pull(root))
    assert f"accept its terms on {hub.url}/{DEMO}" in said
    assert "HF_TOKEN" in said


def test_the_token_goes_to_the_hub_and_not_where_it_sends_us(
    hub: FakeHub, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    result = pull(root)
    assert result.exit_code == 0
    tokens = {server: {token for s, _, _, token in hub.asked if s == server}
              for server in ("hub", "files")}  # fmt: skip
    assert tokens == {"hub": {f"Bearer {TOKEN}"}, "files": {""}}
    assert TOKEN not in result.output


def test_a_token_that_the_hub_does_not_know_is_said(
    hub: FakeHub, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    said = refused(pull(root))
    assert "does not know this token" in said
    assert "hf_other" not in said


def test_a_repository_that_is_not_there_is_said(hub: FakeHub, root: Path) -> None:
    said = refused(pull(root, "org/none"))
    assert f"there is no {hub.url}/org/none for the public: check the name" in said


def test_one_that_fails_does_not_keep_the_others(hub: FakeHub, root: Path) -> None:
    result = pull(root, "org/none", DEMO)
    assert result.exit_code == 1
    assert (root / DEMO / NAME).exists()


def test_no_network_is_said_with_the_proxy_variable(root: Path, hub: FakeHub,
        monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    said = refused(pull(root))
    assert "gives no answer" in said
    assert "HTTPS_PROXY" in said


def test_offline_mode_is_said(root: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set here: unset it" in refused(pull(root))


def test_too_little_room_is_found_out_before_the_first_byte(
    hub: FakeHub, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(free=1 << 20)
    monkeypatch.setattr("ops.pull.shutil.disk_usage", lambda _: usage)
    assert "needs 0.0 GiB more" in refused(pull(root))
    assert hub.ranges(WEIGHTS) == hub.ranges("config.json") == []


def test_a_size_that_cannot_be_is_refused(hub: FakeHub, root: Path) -> None:
    for size in (1 << 60, -5):
        hub.sizes = {WEIGHTS: size}
        assert "no checkpoint has a file like" in refused(pull(root))


def test_a_name_that_leads_upwards_is_left_out(hub: FakeHub, root: Path) -> None:
    hub.repositories[DEMO] = {**demo_files(), "../x.safetensors": b"x", "a/../../y.json": b"{}"}
    assert pull(root).exit_code == 0
    assert names(root.parent) == {f"shared/{DEMO}/{name}" for name in names(root / DEMO)}
    assert not {"x.safetensors", "y.json"} & names(root / DEMO)


@pytest.mark.parametrize("name", ["/etc/x.safetensors", "a b.safetensors", "a\nb.safetensors"])
def test_a_name_that_no_folder_should_have_is_refused(hub: FakeHub, root: Path, name: str) -> None:
    hub.repositories[DEMO] = {**demo_files(), name: b"x"}
    assert "no checkpoint has a file like" in refused(pull(root))


def test_a_repository_without_weights_is_refused(hub: FakeHub, root: Path) -> None:
    hub.repositories[DEMO] = {"config.json": b"{}", "model.gguf": b"x"}
    assert "has no weights that vLLM loads" in refused(pull(root))


def test_what_somebody_downloaded_before_is_checked_and_not_brought_again(
    hub: FakeHub, root: Path
) -> None:
    (root / DEMO).mkdir(parents=True)
    body = hub.repositories[DEMO][WEIGHTS]
    (root / DEMO / WEIGHTS).write_bytes(body)
    assert pull(root).exit_code == 0
    assert hub.ranges(WEIGHTS) == []
    assert (root / DEMO / WEIGHTS).read_bytes() == body


def test_two_pulls_of_one_checkpoint_do_not_meet(hub: FakeHub, root: Path) -> None:
    folder = CheckpointFolder(str(root), DEMO)
    with folder.alone():
        assert "another command works on" in refused(pull(root))
    assert pull(root).exit_code == 0


def test_a_fleet_is_pulled_to_the_root_of_its_inventory(
    hub: FakeHub, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "nodes.yaml").write_text(
        f"name: c\nstorage: {{shared: {root}}}\naccelerators: {{kind: h100-sxm-80gb, count: 8}}\n"
        "nodes:\n  - {name: n1, address: 10.0.0.1}\n"
    )
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(
        f"inventory: nodes.yaml\nmodels:\n  a: {{source: {DEMO}, max_model_len: 9}}\n"
        "  b: {source: /own/model, max_model_len: 9}\n"
    )
    result = flotilla("models", "pull", str(fleet))
    assert result.exit_code == 0, result.output
    assert (root / DEMO / NAME).exists()


def test_without_a_shared_root_it_asks_for_a_folder(hub: FakeHub) -> None:
    said = refused(flotilla("models", "pull", DEMO))
    assert "no shared root: name an inventory" in said


def test_a_root_that_is_not_there_is_said(hub: FakeHub, tmp_path: Path) -> None:
    assert "there is no folder" in refused(pull(tmp_path / "none"))


def test_a_name_that_nobody_knows_is_said(hub: FakeHub, root: Path) -> None:
    said = refused(pull(root, "hermes4"))
    assert "no model of the catalogue: " in said
    assert "hermes3-8b" in said


def test_a_model_without_weights_says_why(hub: FakeHub, root: Path) -> None:
    assert "lfm-40b: " in refused(pull(root, "lfm-40b"))


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: a small disk cannot be mounted")
def test_a_disk_that_fills_up_is_named_and_the_draft_is_kept(
    hub: FakeHub, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(free=1 << 40)
    monkeypatch.setattr("ops.pull.shutil.disk_usage", lambda _: usage)
    with small_disk(root):
        assert "the disk became full; what has come is kept" in refused(pull(root))
        assert not (root / DEMO).exists()
