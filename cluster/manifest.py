"""What a checkpoint consists of: `flotilla-manifest.json`, which lies beside its files. Pure.

Rules
1. It is read where the files are, on a node too, where Flotilla may never have been: standard
   library only, Python 3.8 and later.
2. It may come from anybody who can write to a disk: everything in it is bounded, and no name in it
   leads out of the checkpoint's folder.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

NAME = "flotilla-manifest.json"
#: A checkpoint of 405B in 16 bits has some 200 files; one manifest line is about 200 bytes.
MAX_FILES = 10_000
MAX_MANIFEST_BYTES = 8 << 20
#: Ten times what all weights of today together have, and far from where sums overflow.
MAX_FILE_BYTES = 1 << 46
MAX_NAME_CHARS = 512
#: A part of a name: what no shell and no file system takes for something else.
PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=@-]{0,199}", re.ASCII)
SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
#: A commit, or what its owner calls it.
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
#: Of a checkpoint: `organisation/name`, as the hub has it.
SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,95})?", re.ASCII)


class ManifestInvalid(ValueError):
    """It says something that no manifest of ours says; the text is what."""


@dataclass(frozen=True)
class File:
    """One file of a checkpoint; `name` is its path from the checkpoint's folder."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """All files of a checkpoint at one revision."""

    source: str
    revision: str
    files: tuple[File, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    def text(self) -> bytes:
        """The same manifest is the same bytes, everywhere."""
        files = [
            {"name": file.name, "bytes": file.size_bytes, "sha256": file.sha256}
            for file in sorted(self.files, key=lambda file: file.name)
        ]
        value = {"source": self.source, "revision": self.revision, "files": files}
        return (json.dumps(value, indent=1) + "\n").encode()

    def digest(self) -> str:
        """Checkpoints with the same one have the same files."""
        return hashlib.sha256(self.text()).hexdigest()


def parse_manifest(raw: bytes) -> Manifest:
    """Raises ManifestInvalid."""
    if len(raw) > MAX_MANIFEST_BYTES:
        raise ManifestInvalid(f"it is larger than {MAX_MANIFEST_BYTES:,} bytes")
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ManifestInvalid("it is no JSON") from error
    _require(isinstance(value, dict), "it is no JSON object")
    files = value.get("files")
    _require(isinstance(files, list), "`files` is no list")
    _require(0 < len(files) <= MAX_FILES, f"`files` has {len(files)} entries, of 1 to {MAX_FILES}")
    manifest = Manifest(
        _text(value, "source", SOURCE),
        _text(value, "revision", REVISION),
        tuple(_file(each) for each in files),
    )
    _no_file_in_anothers_place([file.name for file in manifest.files])
    return manifest


def is_name(name: str) -> bool:
    """Whether a manifest may have a file of this name."""
    parts = name.split("/")
    return len(name) <= MAX_NAME_CHARS and name != NAME and all(map(PART.fullmatch, parts))


def _file(value: Any) -> File:
    _require(isinstance(value, dict), "an entry of `files` is no object")
    name, size = value.get("name"), value.get("bytes")
    _require(isinstance(name, str) and is_name(name), f"{name!r:.80} is no name of a file")
    is_size = type(size) is int and 0 <= size <= MAX_FILE_BYTES
    _require(is_size, f"{name}: `bytes` is no number from 0 to {MAX_FILE_BYTES}")
    return File(name, size, _text(value, "sha256", SHA256))


def _no_file_in_anothers_place(names: list[str]) -> None:
    """Neither twice, nor as a folder of another."""
    _require(len(set(names)) == len(names), "a file is there twice")
    folders = {name[:at] for name in names for at, char in enumerate(name) if char == "/"}
    _require(folders.isdisjoint(names), "a file is a folder too")


def _text(value: dict[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    found = value.get(key)
    if not isinstance(found, str) or not pattern.fullmatch(found):
        raise ManifestInvalid(f"`{key}` is {found!r:.80}")
    return found


def _require(condition: object, cause: str) -> None:
    if not condition:
        raise ManifestInvalid(cause)
