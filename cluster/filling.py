"""All files of a checkpoint come into its draft: several at once, each read back and checked.

It runs on nodes too, where Flotilla may never have been: standard library only, Python 3.8 and
later, and what is sent along with it.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from cluster.checkpoint_folder import CheckpointFolder, has_digest, size_of
from cluster.manifest import File, Manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster.checkpoint_folder import Tell

    #: Brings a file, or the rest of it, to a path.
    Fetch = Callable[[File, str, Tell], None]

#: Network file systems, the hub and an NVMe all want several.
FILES_AT_ONCE = 8
#: Each byte is brought, and read back.
WORK_PER_BYTE = 2
#: A second time after what an interrupted draft had left was not right.
ATTEMPTS = 2


class Mismatch(Exception):
    """A file came with another digest than the manifest says."""

    def __init__(self, file: File) -> None:
        super().__init__(file.name)
        self.file = file


class Tally:
    """Counts what several threads do, and ends them all when one has failed."""

    def __init__(self) -> None:
        self.done_bytes = 0
        self._lock = threading.Lock()
        self._ended = False

    def add(self, size_bytes: int) -> None:
        """Raises InterruptedError after `end`."""
        with self._lock:
            self.done_bytes += size_bytes
        if self._ended:
            raise InterruptedError("another file failed")

    def end(self) -> None:
        self._ended = True

    @contextlib.contextmanager
    def ends_all(self) -> Iterator[None]:
        """When the work inside fails."""
        try:
            yield
        except BaseException:
            self.end()
            raise


def fill(folder: CheckpointFolder, manifest: Manifest, fetch: Fetch, tally: Tally) -> None:
    """The largest first; the first that fails ends the others. Raises Mismatch, and what `fetch`
    raises.
    """

    def make(file: File) -> None:
        with tally.ends_all():
            _make(folder, file, fetch, tally)

    files = sorted(manifest.files, key=lambda file: -file.size_bytes)
    with ThreadPoolExecutor(FILES_AT_ONCE) as pool, tally.ends_all():
        failures = [job.exception() for job in [pool.submit(make, file) for file in files]]
    causes = [error for error in failures if error is not None]
    # Those that were ended say nothing of why.
    for error in sorted(causes, key=lambda error: isinstance(error, InterruptedError)):
        raise error


def _make(folder: CheckpointFolder, file: File, fetch: Fetch, tally: Tally) -> None:
    folder.adopt(file)
    for _ in range(ATTEMPTS):
        if size_of(folder.files, file.name) == file.size_bytes:
            tally.add(file.size_bytes)
        else:
            fetch(file, folder.target(file.name), tally.add)
        if has_digest(folder.files, file, tally.add):
            return
        os.unlink(folder.target(file.name))
    raise Mismatch(file)
