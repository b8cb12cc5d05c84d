"""One checkpoint's place under a root: drafted out of sight, checked, published at once.

Rules
1. It runs on nodes too, where Flotilla may never have been: standard library only, Python 3.8 and
   later, and of Flotilla the manifest alone.
2. `<root>/<organisation>/<name>` is whole or not there: files are made in a hidden draft beside it
   and come into place by a rename. Where an older revision stands it is moved away just before.
3. What is published was read back from the disk and has the manifest's digest.
4. A draft that was interrupted is gone on with; what is right in it, or in what is published, is
   not made again. A published file is never written to.
5. One works on a checkpoint at a time; who comes second is refused.
6. Nothing is followed out of the folder: symbolic links are refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import shutil
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cluster.manifest import (
    MAX_MANIFEST_BYTES,
    NAME,
    File,
    Manifest,
    ManifestInvalid,
    parse_manifest,
)

CHUNK_BYTES = 8 << 20
MAX_REVISION_CHARS = 100
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO

    #: Hears of bytes as they are done; raises to end the work.
    Tell = Callable[[int], None]


class Busy(Exception):
    """Somebody else works on this checkpoint."""


class NotPlain(Exception):
    """A path is no file of the checkpoint itself; the text names it."""


class CheckpointFolder:
    """A checkpoint under `root`; `source` is `organisation/name`."""

    def __init__(self, root: str, source: str) -> None:
        self.path = os.path.join(root, source)
        parent, name = os.path.split(self.path)
        self._draft = os.path.join(parent, f".{name}.draft")
        self._old = os.path.join(parent, f".{name}.old")
        self.files = os.path.join(self._draft, "files")

    def manifest(self) -> Manifest | None:
        """Of what is published; None where nothing is, or what somebody else put there. Raises
        ManifestInvalid.
        """
        try:
            with opened(self.path, NAME) as file:
                return parse_manifest(file.read(MAX_MANIFEST_BYTES + 1))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def unequal(self, manifest: Manifest) -> Iterator[File]:
        """Files that are not published in their size."""
        return (file for file in manifest.files if size_of(self.path, file.name) != file.size_bytes)

    def is_published(self, manifest: Manifest) -> bool:
        """By names and sizes."""
        try:
            return self.manifest() == manifest and not any(self.unequal(manifest))
        except ManifestInvalid:
            return False

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Makes the draft, and leaves it unless it was published or removed. Raises Busy."""
        os.makedirs(self.files, exist_ok=True)
        path = os.path.join(self._draft, "lock")
        with open(path, "ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_ours = os.fstat(file.fileno()).st_ino == os.stat(path).st_ino
            except (BlockingIOError, FileNotFoundError):
                is_ours = False
            if not is_ours:
                raise Busy(f"another command works on {self.path}")
            yield

    def note(self, revision: str) -> None:
        """What is drafted, for whoever goes on."""
        with open(os.path.join(self._draft, "revision"), "w") as file:
            file.write(revision)

    def noted(self) -> str | None:
        """The revision that a draft was begun with."""
        with contextlib.suppress(OSError), open(os.path.join(self._draft, "revision")) as file:
            return file.read(MAX_REVISION_CHARS)
        return None

    def target(self, name: str) -> str:
        """Where a draft of this file is."""
        return os.path.join(self.files, name)

    def drafted_bytes(self, file: File) -> int:
        """How much of a file the draft has already, or can have without copying."""
        size = size_of(self.files, file.name)
        if size is not None:
            return size if size <= file.size_bytes else 0
        return file.size_bytes if self._is_adoptable(file) else 0

    def adopt(self, file: File) -> None:
        """Takes a published file into the draft, without copying."""
        target = self.target(file.name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.lexists(target) and self._is_adoptable(file):
            with contextlib.suppress(OSError):  # some file systems have no second names
                os.link(os.path.join(self.path, file.name), target)

    def _is_adoptable(self, file: File) -> bool:
        """By its manifest; what somebody else has put there is checked when it is in the draft."""
        if size_of(self.path, file.name) != file.size_bytes:
            return False
        try:
            published = self.manifest()
        except ManifestInvalid:
            return False
        return published is None or file in published.files

    def publish(self, manifest: Manifest) -> None:
        """All files of the manifest are in the draft, checked."""
        self._remove_strangers({file.name for file in manifest.files})
        path = os.path.join(self.files, NAME)
        with open(path, "wb") as written:
            written.write(manifest.text())
            flush(written.fileno())
        _remove(self._old)
        if os.path.lexists(self.path):
            os.rename(self.path, self._old)
        os.rename(self.files, self.path)
        _flush_folder(os.path.dirname(self.path))
        _remove(self._old)
        self.remove_draft()

    def remove_draft(self) -> None:
        _remove(self._draft)

    def _remove_strangers(self, names: set[str]) -> None:
        """What an interrupted draft of another revision has left."""
        for folder, _, found in os.walk(self.files):
            for name in found:
                path = os.path.join(folder, name)
                if os.path.relpath(path, self.files) not in names:
                    os.unlink(path)


def size_of(folder: str, name: str) -> int | None:
    """Of a plain file; None for everything else."""
    try:
        found = os.lstat(os.path.join(folder, name))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


@contextlib.contextmanager
def opened(folder: str, name: str) -> Iterator[FileIO]:
    """A plain file below a folder, for reading. Raises NotPlain (rule 6)."""
    path = os.path.join(folder, name)
    inside = os.path.join(os.path.realpath(folder), name)
    if os.path.realpath(path) != inside:
        raise NotPlain(f"{path} is a symbolic link, or leads through one")
    descriptor = os.open(path, os.O_RDONLY | NO_FOLLOW | os.O_NONBLOCK)
    with io.FileIO(descriptor) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotPlain(f"{path} is no plain file")
        yield file


def copy(folder: str, file: File, target: str, tell: Tell) -> None:
    """Copies a file, or the rest of it, and waits until the disk has it. Raises NotPlain."""
    with opened(folder, file.name) as read, open(target, "ab", buffering=0) as written:
        written.seek(0, os.SEEK_END)
        if written.tell() > file.size_bytes:
            written.truncate(0)
        at = written.tell()
        tell(at)
        read.seek(at)
        for chunk in _chunks(read):
            tell(_write(written, chunk))
        flush(written.fileno())


def has_digest(folder: str, file: File, tell: Tell) -> bool:
    """Whether the disk has the file that the manifest means. Raises NotPlain."""
    found = hashlib.sha256()
    with opened(folder, file.name) as read:
        # What is still in memory would be read from there.
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(read.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        for chunk in _chunks(read):
            found.update(chunk)
            tell(len(chunk))
    return found.hexdigest() == file.sha256


def flush(descriptor: int) -> None:
    """Waits until the disk has it."""
    os.fsync(descriptor)


def _chunks(file: FileIO) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(CHUNK_BYTES))
    while size := file.readinto(buffer):
        yield buffer[:size]


def _write(file: FileIO, chunk: memoryview) -> int:
    """A disk that fills up takes less than it is given, before it says so."""
    at = 0
    while at < len(chunk):
        at += file.write(chunk[at:])
    return at


def _flush_folder(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: str) -> None:
    if os.path.islink(path):
        os.unlink(path)
    shutil.rmtree(path, ignore_errors=True)
