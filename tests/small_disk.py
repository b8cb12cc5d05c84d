"""A disk of a few MiB in memory, to be filled. Needs root."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE_BYTES = 4 << 20


@contextmanager
def small_disk(folder: Path, options: str = "") -> Iterator[None]:
    """Mounted on the folder."""
    words = f"size={SIZE_BYTES}{options}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", words, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
