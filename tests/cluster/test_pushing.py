"""Checkpoints go from this machine to nodes that share no root, over a real ssh and rsync."""

import asyncio
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from cluster.checkpoint_folder import CheckpointFolder
from cluster.errors import CheckpointUnreadable
from cluster.inventory import Storage
from cluster.manifest import NAME
from cluster.pushing import Origin, push
from cluster.remote import Remote
from cluster.staging import Result, Target, everywhere
from tests.cluster.checkpoints import FILES, SOURCE, contents, manifest_of, put
from tests.small_disk import small_disk
from tests.sshd import Sshd, missing

REASON = missing() or ("" if shutil.which("rsync") else "needs rsync")
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)
WHOLE = {f"{SOURCE}/{name}": body for name, body in {**FILES, NAME: manifest_of().text()}.items()}


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with Sshd() as running:
        yield running


@pytest.fixture
def here(tmp_path: Path) -> Path:
    put(tmp_path / "here")
    return tmp_path / "here"


def node(server: Sshd, tmp_path: Path, number: int = 1) -> Target:
    local = tmp_path / f"node-{number}"
    local.mkdir()
    remote = Remote(f"node-{number}", server.address, server.ssh)
    return Target(remote, Storage(local=str(local)), (SOURCE,))


def local(target: Target) -> Path:
    assert target.storage.local
    return Path(target.storage.local)


def run(here: Path, *targets: Target) -> list[Result]:
    async def all_of_them() -> list[Result]:
        origin = Origin.of(here)

        async def work(target: Target) -> Sequence[Result]:
            return await push(target, origin, lambda _: None)

        return await everywhere(targets, work)

    return asyncio.run(all_of_them())


def states(results: Sequence[Result]) -> list[str]:
    return [result.state.value for result in results]


def test_nodes_get_every_file_and_a_second_time_none(
    server: Sshd, here: Path, tmp_path: Path
) -> None:
    nodes = [node(server, tmp_path, number) for number in (1, 2)]
    assert states(run(here, *nodes)) == ["staged", "staged"]
    assert [contents(local(each)) for each in nodes] == [WHOLE, WHOLE]
    assert states(run(here, *nodes)) == ["present", "present"]


def test_a_push_that_broke_off_goes_on(server: Sshd, here: Path, tmp_path: Path) -> None:
    target, name = node(server, tmp_path), "model-1.safetensors"
    draft = Path(CheckpointFolder(str(local(target)), SOURCE).target(name))
    draft.parent.mkdir(parents=True)
    draft.write_bytes(FILES[name][:1000])
    before = draft.stat().st_ino
    assert states(run(here, target)) == ["staged"]
    assert contents(local(target)) == WHOLE
    assert (local(target) / SOURCE / name).stat().st_ino == before


def test_a_file_that_was_changed_here_is_never_published(
    server: Sshd, here: Path, tmp_path: Path
) -> None:
    body = FILES["model-2.safetensors"]
    (here / SOURCE / "model-2.safetensors").write_bytes(b"x" + body[1:])
    target = node(server, tmp_path)
    (result,) = run(here, target)
    assert "model-2.safetensors came with another size or digest" in result.cause
    assert not (local(target) / SOURCE).exists()


@pytest.mark.parametrize("name", [NAME, "model-1.safetensors"])
def test_what_is_not_whole_here_is_not_pushed(
    server: Sshd, here: Path, tmp_path: Path, name: str
) -> None:
    (here / SOURCE / name).unlink()
    target = node(server, tmp_path)
    with pytest.raises(CheckpointUnreadable, match=SOURCE):
        run(here, target)
    assert contents(local(target)) == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: no disk can be mounted")
def test_a_disk_that_fills_up_is_named_and_has_room_again(
    server: Sshd, here: Path, tmp_path: Path
) -> None:
    full, other = node(server, tmp_path, 1), node(server, tmp_path, 2)
    with small_disk(local(full), ",nr_inodes=8"):
        results = run(here, full, other)
        assert contents(local(full)) == {}
    assert "became full while org/demo was staged" in results[0].cause
    assert states(results) == ["failed", "staged"]
