"""The manifest of a checkpoint that its owner has put under a root himself."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from cluster.checkpoint_folder import CHUNK_BYTES, NotPlain, opened, size_of
from cluster.manifest import NAME, SOURCE, File, Manifest, ManifestInvalid, is_name, parse_manifest
from deployments.weight_files import has_weights, needed
from ops.errors import WeightsFailed

#: In place of a commit.
REVISION = "sealed"


def seal(folder: Path) -> Manifest:
    """Reads all that serving needs of `<root>/<organisation>/<name>`, and writes its manifest.
    Raises WeightsFailed.
    """
    folder = folder.absolute()
    source = "/".join(folder.parts[-2:])
    names = needed(sorted(_names(folder)))
    if not has_weights(names) or not SOURCE.fullmatch(source):
        raise WeightsFailed(f"{folder} is no checkpoint: <root>/<organisation>/<name> with weights")
    try:
        files = tuple(_file(folder, name) for name in names)
        manifest = parse_manifest(Manifest(source, REVISION, files).text())
        _write(folder / NAME, manifest.text())
    except (ManifestInvalid, NotPlain) as error:
        raise WeightsFailed(f"{folder}: {error}") from error
    except OSError as error:
        raise WeightsFailed(f"{error.filename or folder}: {error.strerror}") from error
    return manifest


def _names(folder: Path) -> Iterator[str]:
    for at, _, found in os.walk(folder):
        names = (os.path.relpath(os.path.join(at, name), folder) for name in found)
        yield from (name for name in names if is_name(name))


def _file(folder: Path, name: str) -> File:
    digest = hashlib.sha256()
    with opened(str(folder), name) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return File(name, size_of(str(folder), name) or 0, digest.hexdigest())


def _write(path: Path, text: bytes) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(text)
    draft.replace(path)
