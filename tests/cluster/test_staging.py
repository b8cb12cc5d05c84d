"""Checkpoints on nodes' own disks, over a real ssh: what comes there, what goes on, what fails and
how it is said. The nodes are folders of this machine.
"""

import ast
import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cluster import staging
from cluster.checkpoint_folder import CheckpointFolder
from cluster.inventory import Storage
from cluster.login import Ssh
from cluster.manifest import MAX_FILE_BYTES, NAME, File, Manifest
from cluster.remote import Remote
from cluster.staging import Moved, Result, State, Target, everywhere, stage, staged
from tests.cluster.checkpoints import FILES, SOURCE, contents, manifest_of, put
from tests.small_disk import small_disk
from tests.sshd import Sshd, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="not root: no disk can be mounted")
WHOLE = {**FILES, NAME: manifest_of().text()}


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with Sshd() as running:
        yield running


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    put(tmp_path / "shared")
    return tmp_path / "shared"


def node(server: Sshd, tmp_path: Path, number: int = 1, *sources: str) -> Target:
    local = tmp_path / f"node-{number}"
    local.mkdir(exist_ok=True)
    storage = Storage(local=str(local), shared=str(tmp_path / "shared"))
    remote = Remote(f"node-{number}", server.address, server.ssh)
    return Target(remote, storage, sources or (SOURCE,))


def local(target: Target) -> Path:
    assert target.storage.local
    return Path(target.storage.local)


def run(*targets: Target, moved: list[Moved] | None = None) -> list[Result]:
    heard: list[Moved] = [] if moved is None else moved

    async def work(target: Target) -> Sequence[Result]:
        return await stage(target, heard.append)

    return asyncio.run(everywhere(targets, work))


def states(results: Sequence[Result]) -> list[str]:
    return [result.state.value for result in results]


def test_every_node_has_every_file_and_nothing_else(
    server: Sshd, shared: Path, tmp_path: Path
) -> None:
    nodes = [node(server, tmp_path, number) for number in (1, 2, 3)]
    results = run(*nodes)
    assert states(results) == ["staged"] * 3
    assert {result.size_bytes for result in results} == {manifest_of().size_bytes}
    for each in nodes:
        assert contents(local(each)) == {f"{SOURCE}/{name}": body for name, body in WHOLE.items()}


def test_a_second_time_there_is_nothing_to_do(server: Sshd, shared: Path, tmp_path: Path) -> None:
    target = node(server, tmp_path)
    run(target)
    before = (local(target) / SOURCE).stat().st_ino
    assert states(run(target)) == ["present"]
    assert (local(target) / SOURCE).stat().st_ino == before


def test_a_node_that_cannot_be_reached_costs_nobody_else(
    server: Sshd, shared: Path, tmp_path: Path
) -> None:
    good, wrong = node(server, tmp_path, 1), node(server, tmp_path, 3)
    with Sshd() as other:
        closed = node(other, tmp_path, 2)
        stranger = Ssh(user=server.ssh.user, key=str(other.key), port=server.port)
        wrong = replace(wrong, remote=replace(wrong.remote, ssh=stranger))
        other.stop()
        results = run(good, closed, wrong)
    assert states(results) == ["staged", "failed", "failed"]
    assert "no ssh on this port" in results[1].cause
    assert "refused the login" in results[2].cause


def test_a_damaged_original_is_named_and_the_next_checkpoint_is_staged(
    server: Sshd, shared: Path, tmp_path: Path
) -> None:
    put(shared, {"a.safetensors": b"123"}, "org/other")
    body = FILES["model-2.safetensors"]
    (shared / SOURCE / "model-2.safetensors").write_bytes(body[:-1] + b"x")
    target = node(server, tmp_path, 1, SOURCE, "org/other")
    bad, good = run(target)
    assert (bad.source, bad.state) == (SOURCE, State.FAILED)
    assert f"{shared}/{SOURCE}/model-2.safetensors has another digest" in bad.cause
    assert (good.source, good.state) == ("org/other", State.STAGED)
    assert not (local(target) / SOURCE).exists()


def test_an_original_that_is_cut_short_is_never_published(
    server: Sshd, shared: Path, tmp_path: Path
) -> None:
    (shared / SOURCE / "model-1.safetensors").write_bytes(b"123")
    target = node(server, tmp_path)
    (result,) = run(target)
    assert result.state is State.FAILED
    assert not (local(target) / SOURCE).exists()


@pytest.mark.parametrize("link", ["model-1.safetensors", "sub"])
def test_a_symbolic_link_is_not_followed(
    server: Sshd, shared: Path, tmp_path: Path, link: str
) -> None:
    real = shared / SOURCE / link
    real.rename(tmp_path / "elsewhere")
    real.symlink_to(tmp_path / "elsewhere")
    target = node(server, tmp_path)
    (result,) = run(target)
    assert "symbolic link" in result.cause
    assert not (local(target) / SOURCE).exists()


@pytest.mark.parametrize("name", ["../../../outside", "/tmp/flotilla-outside"])
def test_a_manifest_that_leads_elsewhere_is_refused(
    server: Sshd, shared: Path, tmp_path: Path, name: str
) -> None:
    text = Manifest(SOURCE, "abc", (File(name, 2, "0" * 64),)).text()
    (shared / SOURCE / NAME).write_bytes(text)
    (result,) = run(node(server, tmp_path))
    assert "is no name of a file" in result.cause
    assert not list(tmp_path.rglob("*outside*"))


def test_a_checkpoint_of_another_name_is_refused(
    server: Sshd, shared: Path, tmp_path: Path
) -> None:
    (shared / SOURCE).rename(shared / "org/other")
    (result,) = run(node(server, tmp_path, 1, "org/other"))
    assert f"is that of {SOURCE}" in result.cause


def test_what_nobody_pulled_is_said_with_the_command(
    server: Sshd, shared: Path, tmp_path: Path
) -> None:
    (result,) = run(node(server, tmp_path, 1, "org/none"))
    assert f"no checkpoint with a manifest in {shared}/org/none" in result.cause
    assert "flotilla models pull" in result.fix


def test_more_than_there_is_room_for_is_refused_with_numbers(
    server: Sshd, shared: Path, tmp_path: Path
) -> None:
    files = tuple(File(f"{at}.safetensors", MAX_FILE_BYTES, "0" * 64) for at in range(100))
    (shared / SOURCE / NAME).write_bytes(Manifest(SOURCE, "abc", files).text())
    target = node(server, tmp_path)
    (result,) = run(target)
    assert "6,553,600.0 GiB more are needed for org/demo" in result.cause
    assert contents(local(target)) == {}


def test_a_root_that_is_missing_is_not_made(server: Sshd, shared: Path, tmp_path: Path) -> None:
    for storage, cause in (
        (Storage(local="/no/such", shared=str(shared)), "there is no /no/such"),
        (Storage(local=str(tmp_path), shared="/no/such"), "there is no /no/such"),
        (Storage(shared=str(shared)), "gives it no `storage.local`"),
    ):
        (result,) = run(replace(node(server, tmp_path), storage=storage))
        assert (result.source, result.state) == ("", State.FAILED)
        assert cause in result.cause
    assert not Path("/no").exists()


@needs_root
def test_a_root_that_is_read_only_is_said(server: Sshd, shared: Path, tmp_path: Path) -> None:
    target = node(server, tmp_path)
    with small_disk(local(target), ",ro"):
        (result,) = run(target)
    assert "is mounted read-only" in result.cause


@needs_root
def test_a_disk_that_fills_up_is_named_and_has_room_again(
    server: Sshd, shared: Path, tmp_path: Path
) -> None:
    full, other = node(server, tmp_path, 1), node(server, tmp_path, 2)
    # Room for the bytes, but for no more files: found out in the middle only.
    with small_disk(local(full), ",nr_inodes=8"):
        results = run(full, other)
        assert contents(local(full)) == {}
        assert not list((local(full) / "org").iterdir())
    assert "became full while org/demo was staged" in results[0].cause
    assert "its draft was removed" in results[0].fix
    assert results[1].state is State.STAGED


def test_a_draft_is_gone_on_with(server: Sshd, shared: Path, tmp_path: Path) -> None:
    target = node(server, tmp_path)
    name = "model-1.safetensors"
    draft = Path(CheckpointFolder(str(local(target)), SOURCE).target(name))
    draft.parent.mkdir(parents=True)
    draft.write_bytes(FILES[name][:1000])
    (draft.parent / "of-another-revision.bin").write_bytes(b"x")
    before = draft.stat().st_ino
    assert states(run(target)) == ["staged"]
    assert (local(target) / SOURCE / name).stat().st_ino == before
    assert contents(local(target) / SOURCE) == WHOLE


@pytest.mark.parametrize("left", [b"y" * 1000, b"y" * len(FILES["model-1.safetensors"]),
                                  b"y" * 9_000_000])  # fmt: skip
def test_a_draft_that_is_wrong_is_made_anew(
    server: Sshd, shared: Path, tmp_path: Path, left: bytes
) -> None:
    target = node(server, tmp_path)
    draft = Path(CheckpointFolder(str(local(target)), SOURCE).target("model-1.safetensors"))
    draft.parent.mkdir(parents=True)
    draft.write_bytes(left)
    assert states(run(target)) == ["staged"]
    assert contents(local(target) / SOURCE) == WHOLE


def test_two_stagings_of_one_checkpoint_do_not_meet(
    server: Sshd, shared: Path, tmp_path: Path
) -> None:
    target = node(server, tmp_path)
    with CheckpointFolder(str(local(target)), SOURCE).alone():
        (result,) = run(target)
    assert "another command works on" in result.cause
    second = ("failed", "present")
    assert sorted(states(run(target, target))) in [sorted(("staged", each)) for each in second]
    assert contents(local(target) / SOURCE) == WHOLE


def test_another_revision_takes_the_place_and_keeps_what_is_equal(
    server: Sshd, shared: Path, tmp_path: Path
) -> None:
    target = node(server, tmp_path)
    run(target)
    kept = (local(target) / SOURCE / "model-1.safetensors").stat().st_ino
    new = {**FILES, "model-2.safetensors": bytes(len(FILES["model-2.safetensors"]))}
    del new["sub/tokenizer.json"]
    put(shared, new)
    assert states(run(target)) == ["staged"]
    assert contents(local(target)) == {
        f"{SOURCE}/{name}": body for name, body in {**new, NAME: manifest_of(new).text()}.items()
    }
    assert (local(target) / SOURCE / "model-1.safetensors").stat().st_ino == kept


def test_progress_ends_below_the_whole_and_never_falls(server: Sshd, tmp_path: Path) -> None:
    put(tmp_path / "shared", {"a.safetensors": bytes(64 << 20)})
    moved: list[Moved] = []
    run(node(server, tmp_path), moved=moved)
    done = [each.done_bytes for each in moved]
    assert done == sorted(done)
    assert all(each.done_bytes <= each.total_bytes == 64 << 20 for each in moved)


def look(target: Target, *, is_full: bool) -> dict[str, staging.Found]:
    found = asyncio.run(staged(target, is_full=is_full))
    return {each.root: each for each in found}


def test_what_a_node_has_is_looked_at_under_each_root(
    server: Sshd, shared: Path, tmp_path: Path
) -> None:
    target = node(server, tmp_path)
    found = look(target, is_full=True)
    assert not found[str(local(target))].is_there
    assert found[str(shared)].digest == manifest_of().digest()
    run(target)
    assert look(target, is_full=True)[str(local(target))].digest == manifest_of().digest()


def test_only_a_full_look_sees_a_changed_byte(server: Sshd, shared: Path, tmp_path: Path) -> None:
    target = node(server, tmp_path)
    run(target)
    body = FILES["model-2.safetensors"]
    (local(target) / SOURCE / "model-2.safetensors").write_bytes(b"x" + body[1:])
    assert look(target, is_full=False)[str(local(target))].wrong == ()
    assert look(target, is_full=True)[str(local(target))].wrong == ("model-2.safetensors",)
    for name in FILES:
        (local(target) / SOURCE / name).unlink()
    wrong = look(target, is_full=False)[str(local(target))].wrong
    assert wrong == (*list(FILES)[:3], "4 in all")


@pytest.mark.parametrize(
    ("instead", "cause"),
    [
        ("exit 127", "it has no `python3`"),
        ('echo \'{"event": "staged"}\'; echo no >&2; exit 1', "staging broke off: no"),
        ("echo hello; printf '[1]\\n5\\n{\\n'", "staging broke off"),
    ],
)
def test_a_node_that_talks_nonsense_is_said(
    shared: Path, tmp_path: Path, instead: str, cause: str
) -> None:
    with Sshd(instead=instead) as other:
        (result,) = run(node(other, tmp_path))
    assert cause in result.cause


def test_a_greeting_is_no_trouble(shared: Path, tmp_path: Path) -> None:
    with Sshd(instead='echo "Welcome, {it is} Friday"; eval "$SSH_ORIGINAL_COMMAND"') as other:
        assert states(run(node(other, tmp_path))) == ["staged"]


def test_a_node_where_nothing_moves_is_given_up(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "SILENCE_S", 1.0)
    with Sshd(instead="exec sleep 60") as other:
        (result,) = run(node(other, tmp_path))
    assert "nothing moved for 1 s" in result.cause


@pytest.mark.parametrize("name", staging.SCRIPT)
def test_what_is_sent_to_nodes_runs_on_an_older_python_alone(name: str) -> None:
    text = (Path(staging.__file__).parent / f"{name}.py").read_text()
    tree = ast.parse(text, feature_version=(3, 8))
    sent = {f"cluster.{each}" for each in staging.SCRIPT}
    imported = {each.module or "" for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)}
    assert {module for module in imported if module.startswith("cluster")} <= sent
    # Annotations are not evaluated, so only what is assigned could be too new.
    assert "from __future__ import annotations" in text
