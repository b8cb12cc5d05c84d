"""Checkpoints come from the hub to a root on this machine, which nodes share or which is pushed
from.

Rules
1. What stands whole under the root is left alone, without asking the hub: a checkpoint stays at the
   commit that it was pulled at.
2. A broken-off pull goes on at the commit that it was begun with.
3. Whether there is room is found out before the first byte comes.
4. Every file has the digest that the hub has, read back from the disk: SHA-256 of large files,
   git's own of small ones.
"""

import errno
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cluster.accelerator import GIB
from cluster.checkpoint_folder import Busy, CheckpointFolder, NotPlain, size_of
from cluster.filling import ATTEMPTS, WORK_PER_BYTE, Mismatch, Tally, fill
from cluster.manifest import (
    MAX_FILE_BYTES,
    File,
    Manifest,
    ManifestInvalid,
    is_name,
    parse_manifest,
)
from cluster.staging import Moved, Result, State
from deployments.weight_files import has_weights, needed
from ops.errors import HubFailed, WeightsFailed
from ops.hub import Hub, HubFile, Repository

#: In results and progress, where a node's name stands otherwise.
HERE = "here"
FULL = (errno.ENOSPC, errno.EDQUOT)
#: Larger ones come with a SHA-256.
MAX_SMALL_BYTES = 64 << 20

Report = Callable[[Moved], None]


def pull(hub: Callable[[], Hub], root: Path, source: str, report: Report) -> Result:
    """Brings a checkpoint, or says that it is there. Raises HubFailed and WeightsFailed."""
    began_s = time.monotonic()
    folder = CheckpointFolder(str(root), source)
    with _explained(folder, source):
        published = _published(folder)
        if published is not None and folder.is_published(published):
            return Result(HERE, source, State.PRESENT, published.size_bytes)
        with folder.alone():
            manifest = _Pull(hub(), folder, source, report).run(published)
    took_s = time.monotonic() - began_s
    return Result(HERE, source, State.STAGED, manifest.size_bytes, took_s)


def pull_all(root: Path, sources: Sequence[str], report: Report) -> list[Result]:
    """One after the other; one that fails costs itself. Raises WeightsFailed."""
    if not root.is_dir():
        raise WeightsFailed(f"there is no folder {root} here: mount it, or name one with `--to`")
    results = []
    for source in sources:
        try:
            results.append(pull(Hub, root, source, report))
        except (HubFailed, WeightsFailed) as error:
            results.append(Result(HERE, source, State.FAILED, cause=str(error)))
    return results


class _Pull:
    def __init__(self, hub: Hub, folder: CheckpointFolder, source: str, report: Report) -> None:
        self._hub = hub
        self._folder = folder
        self._source = source
        self._report = report

    def run(self, published: Manifest | None) -> Manifest:
        begun = self._folder.noted() or (published.revision if published else None)
        repository = self._hub.look(self._source, begun)
        self._folder.note(repository.revision)
        files = _wanted(repository)
        tally = self._tally(sum(file.size_bytes for file in files))
        self._require_room(files)
        small = [self._small(repository, file) for file in files if file.sha256 is None]
        large = [File(f.name, f.size_bytes, f.sha256) for f in files if f.sha256 is not None]
        manifest = _sound(Manifest(self._source, repository.revision, (*small, *large)))
        by_name = {file.name: file for file in files}
        fill(
            self._folder,
            manifest,
            lambda file, target, tell: self._hub.fetch(
                repository, by_name[file.name], target, tell
            ),
            tally,
        )
        self._folder.publish(manifest)
        return manifest

    def _tally(self, total: int) -> Tally:
        source, report = self._source, self._report

        class Told(Tally):
            def add(self, size_bytes: int) -> None:
                super().add(size_bytes)
                report(Moved(HERE, source, min(self.done_bytes // WORK_PER_BYTE, total), total))

        return Told()

    def _require_room(self, files: Sequence[HubFile]) -> None:
        missing = [file.size_bytes - self._drafted_bytes(file) for file in files]
        free = shutil.disk_usage(self._folder.files).free
        if sum(missing) > free:
            raise WeightsFailed(
                f"{self._source} needs {_gib(sum(missing))} more, and {self._folder.path} has "
                f"{_gib(free)} free: make room, or name another folder with `--to`"
            )

    def _drafted_bytes(self, file: HubFile) -> int:
        return self._folder.drafted_bytes(File(file.name, file.size_bytes, file.sha256 or ""))

    def _small(self, repository: Repository, file: HubFile) -> File:
        """A file whose SHA-256 only its content tells."""
        target = Path(self._folder.target(file.name))
        for _ in range(ATTEMPTS):
            if size_of(self._folder.files, file.name) != file.size_bytes:
                self._hub.fetch(repository, file, str(target), lambda _: None)
            content = target.read_bytes()
            if _git_sha1(content) == file.git_sha1:
                return File(file.name, file.size_bytes, hashlib.sha256(content).hexdigest())
            target.unlink()
        raise HubFailed(f"{self._source}: {file.name} came with another digest than the hub says")


def _wanted(repository: Repository) -> list[HubFile]:
    chosen = set(needed(file.name for file in repository.files))
    if not has_weights(chosen):
        raise HubFailed(
            f"{repository.source} has no weights that vLLM loads: no safetensors, no .bin, no .pt"
        )
    # A text with a name that no manifest takes is not what serving waits for; weights are.
    files = [
        file
        for file in repository.files
        if file.name in chosen and (is_name(file.name) or has_weights([file.name]))
    ]
    for file in files:
        most = MAX_SMALL_BYTES if file.sha256 is None else MAX_FILE_BYTES
        if not is_name(file.name) or not 0 <= file.size_bytes <= most:
            raise HubFailed(
                f"{repository.source}: no checkpoint has a file like {file.name!r:.80} of "
                f"{file.size_bytes} bytes: name another repository"
            )
    return files


def _sound(manifest: Manifest) -> Manifest:
    """The same, as everybody will read it."""
    return parse_manifest(manifest.text())


def _published(folder: CheckpointFolder) -> Manifest | None:
    try:
        return folder.manifest()
    except ManifestInvalid:
        return None


@contextmanager
def _explained(folder: CheckpointFolder, source: str) -> Iterator[None]:
    try:
        yield
    except Busy as busy:
        raise WeightsFailed(f"{busy}: wait for it") from busy
    except Mismatch as mismatch:
        raise HubFailed(
            f"{source}: {mismatch} came with another digest than the hub says, twice: try again, "
            "and look at the disk if it goes on"
        ) from mismatch
    except (ManifestInvalid, NotPlain) as error:
        raise WeightsFailed(f"{source}: {error}") from error
    except OSError as error:
        cause = error.strerror or type(error).__name__
        if error.errno in FULL:
            cause = "the disk became full; what has come is kept, make room and run it again"
        raise WeightsFailed(f"{source}: {folder.path}: {cause}") from error


def _git_sha1(content: bytes) -> str:
    head = f"blob {len(content)}\0".encode()
    return hashlib.sha1(head + content, usedforsecurity=False).hexdigest()


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:,.1f} GiB"
