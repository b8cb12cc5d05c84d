"""What a replica's lives leave in a file on its leader's node, so that a crash loop slows down.

A file that cannot be read or written costs the pause, never the start.
"""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from serving.keystore import home, write_private
from serving.replica.crash_loop import Life, next_life
from serving.replica.spec import ReplicaSpec

FOLDER = "lives"

_log = logging.getLogger(__name__)


class Past:
    """Of one replica; `now_s` is a wall clock."""

    def __init__(self, path: Path, made_of: str, now_s: Callable[[], float]) -> None:
        self._path = path
        self._now_s = now_s
        self._life = next_life(_read(path), made_of, now_s())
        self._write()

    @classmethod
    def of(cls, spec: ReplicaSpec, now_s: Callable[[], float]) -> "Past":
        """Begins a life of this replica on this node."""
        args = json.dumps(spec.to_args(), sort_keys=True)
        made_of = hashlib.sha256(args.encode()).hexdigest()
        return cls(home() / FOLDER / f"{spec.application}.json", made_of, now_s)

    @property
    def life(self) -> Life:
        return self._life

    def is_ready(self) -> None:
        """The replica serves from now on."""
        self._life = replace(self._life, ready_s=self._now_s())
        self._write()

    def end(self) -> None:
        """The replica stops because it was told to."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("%s is not removed: %s", self._path, error)

    def _write(self) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            write_private(self._path, msgspec.json.encode(self._life).decode())
        except OSError as error:
            _log.warning("%s is not written: %s", self._path, error)


def _read(path: Path) -> Life | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Life)
    except (OSError, msgspec.MsgspecError):
        return None
