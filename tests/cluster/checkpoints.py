"""Checkpoints that tests make: files under a root, with their manifest."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from cluster.manifest import NAME, File, Manifest

SOURCE = "org/demo"
FILES: Mapping[str, bytes] = {
    "config.json": b"{}",
    "model-1.safetensors": bytes(range(256)) * 5000,
    "model-2.safetensors": bytes(reversed(range(256))) * 5000,
    "sub/tokenizer.json": b'{"a": 1}',
}


def manifest_of(
    files: Mapping[str, bytes] = FILES, source: str = SOURCE, revision: str = "abc"
) -> Manifest:
    made = (File(name, len(body), hashlib.sha256(body).hexdigest()) for name, body in files.items())
    return Manifest(source, revision, tuple(made))


def put(root: Path, files: Mapping[str, bytes] = FILES, source: str = SOURCE) -> Path:
    """The checkpoint's folder, whole."""
    folder = root / source
    for name, body in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    (folder / NAME).write_bytes(manifest_of(files, source).text())
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
