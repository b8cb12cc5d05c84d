"""Flotilla's own folder on a node, and 0600 files in it: the internal token, and what else nobody
may read.
"""

import contextlib
import os
import secrets
from pathlib import Path

#: In Flotilla's folder on the head: what opens the private ports of all parts.
INTERNAL_TOKEN_FILE = "internal_token"  # noqa: S105 - a name


def home() -> Path:
    """Flotilla's own directory on this node, made with mode 0700; `FLOTILLA_HOME` moves it."""
    path = Path(os.environ.get("FLOTILLA_HOME") or "~/.flotilla").expanduser().absolute()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_private(path: Path, text: str) -> None:
    """Writes a 0600 file so that a reader sees the old or the new text, never half of one."""
    draft = _draft(path, text)
    draft.replace(path)
    _sync_folder(path.parent)


def secret_file(path: Path) -> str:
    """The secret kept in `path`, made at first use: 256 random bits. Of two that make it at once
    both get the same.
    """
    if not path.exists():
        draft = _draft(path, secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
        _sync_folder(path.parent)
    return path.read_text(encoding="utf-8").strip()


def _draft(path: Path, text: str) -> Path:
    """The text in a 0600 file beside `path`, on disk."""
    data = text.encode()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _sync_folder(folder: Path) -> None:
    """A new name is on disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
