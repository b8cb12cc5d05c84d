"""One file of the spool: JSON lines in memory that the file shares.

Rules
- What is in the mapping is in the file for whoever looks next, also after SIGKILL: the kernel owns
  the pages. (After a power cut it is what the kernel had written, so up to half a minute is gone.)
- A line is there when its newline is, which is written last. What a kill leaves behind the last
  newline is no line, and nobody reads it.
- All of the file's room is taken when it is made, so a full disk is met there and never by a line.
"""

import contextlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

#: About 3,000 records; read and sent anew as a whole when its gateway was killed.
PART_BYTES = 1024 * 1024
#: What a disk may still have room for that has none for a part.
LEAST_PART_BYTES = 64 * 1024
#: Of what is sent at a time, about 700 records.
BATCH_BYTES = 256 * 1024
SUFFIX = ".jsonl"
#: MADV_POPULATE_WRITE of Linux's mman.h, since 5.14.
_POPULATE_WRITE = 23


class Part:
    """Written at its end; `shipped` is how much of it the ledger has."""

    __slots__ = ("_map", "_size", "path", "shipped", "used")

    def __init__(self, path: Path, size_bytes: int) -> None:
        """Makes the file. Raises OSError and leaves nothing behind."""
        self.path = path
        #: None when it is sealed.
        self._map: mmap.mmap | None = mapped(path, size_bytes)
        # All its pages at once cost a quarter of what they cost one by one, on the way of requests.
        with contextlib.suppress(OSError):
            self._map.madvise(_POPULATE_WRITE)
        self._size = size_bytes
        self.used = 0
        self.shipped = 0

    def has_room(self, line: bytes) -> bool:
        return self.used + len(line) < self._size

    @property
    def is_half_full(self) -> bool:
        return 2 * self.used >= self._size

    @property
    def is_shipped(self) -> bool:
        return self.shipped == self.used

    @property
    def is_sealed(self) -> bool:
        return self._map is None

    def append(self, line: bytes) -> None:
        """A line without its newline, for which there is room; not to a sealed part."""
        view = self._map
        if view is None:
            raise ValueError(f"{self.path} is sealed")
        end = self.used + len(line)
        view[self.used : end] = line
        view[end] = 0x0A
        self.used = end + 1

    def batch(self) -> bytes:
        """The first lines that were not shipped; none where somebody has removed the file. Raises
        OSError.
        """
        data = self._read(min(self.used - self.shipped, BATCH_BYTES))
        return data[: data.rfind(b"\n") + 1]

    def _read(self, size_bytes: int) -> bytes:
        if self._map is not None:
            return self._map[self.shipped : self.shipped + size_bytes]
        try:
            with self.path.open("rb") as file:
                file.seek(self.shipped)
                return file.read(size_bytes)
        except FileNotFoundError:
            return b""

    def seal(self) -> None:
        """Nothing more is written: gives the memory back."""
        if self._map is not None:
            self._map.close()
            self._map = None

    def close(self) -> None:
        """Leaves a file of exactly the lines in it, or none where nobody needs them. Raises
        OSError.
        """
        self.seal()
        if self.is_shipped:
            self.path.unlink(missing_ok=True)
        else:
            os.truncate(self.path, self.used)


def mapped(path: Path, size_bytes: int) -> mmap.mmap:
    """A new file with all its room, as memory. Raises OSError and leaves nothing behind."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.posix_fallocate(handle, 0, size_bytes)
        return mmap.mmap(handle, size_bytes)
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(handle)


def batches(path: Path) -> Iterator[bytes]:
    """The lines of a part that nobody writes to any more. Raises OSError."""
    return cut(path.read_bytes())


def cut(data: bytes) -> Iterator[bytes]:
    """Whole lines, as many as are sent at a time."""
    start, end = 0, data.rfind(b"\n") + 1
    while start < end:
        cut = data.rfind(b"\n", start, start + BATCH_BYTES) + 1 or data.find(b"\n", start) + 1
        yield data[start:cut]
        start = cut


def part_path(folder: Path, name: str, number: int) -> Path:
    return folder / f"{name}.{number}{SUFFIX}"


def parts_of(folder: Path) -> dict[str, list[Path]]:
    """All parts in a folder by the name of their spool, in the order they were written."""
    found: dict[str, list[tuple[int, Path]]] = {}
    for path in folder.glob(f"*.*{SUFFIX}"):
        name, _, number = path.name.removesuffix(SUFFIX).rpartition(".")
        if number.isdigit():
            found.setdefault(name, []).append((int(number), path))
    return {name: [path for _, path in sorted(parts)] for name, parts in sorted(found.items())}
