"""Whose a spool is: who holds the lock on its `.lock` file. The kernel lets go of it when the
process ends, however it ends, so a spool that can be claimed has lost its gateway.
"""

import fcntl
import os
from pathlib import Path

from serving.spool_part import parts_of
from serving.spool_underway import SUFFIX, underway_path

#: Gateways of one name in one folder; on a node's own folder names are random.
_NAMESAKES = 100
_SUFFIX = ".lock"


class Claim:
    """The right to a spool, until `release`."""

    def __init__(self, folder: Path, name: str, handle: int) -> None:
        self.name = name
        self._folder = folder
        self._handle = handle

    @classmethod
    def take(cls, folder: Path, name: str) -> "Claim | None":
        """None while somebody else has it. Raises OSError."""
        handle = os.open(_lock(folder, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if isinstance(error, BlockingIOError):
                return None
            raise
        return cls(folder, name, handle)

    @classmethod
    def of_new_spool(cls, folder: Path, name: str) -> "Claim":
        """Under this name, or under one like it that is free. Raises OSError."""
        for number in range(1, _NAMESAKES):
            claim = cls.take(folder, name if number == 1 else f"{name}-{number}")
            if claim is not None:
                return claim
        raise OSError(f"{folder} holds too many spools called {name}")

    def parts(self) -> list[Path]:
        """What the spool's last owner left."""
        return parts_of(self._folder).get(self.name, [])

    @property
    def underway(self) -> Path:
        """Where its last owner noted what replicas had; there need be none."""
        return underway_path(self._folder, self.name)

    def release(self) -> None:
        """Lets go of it, and removes the lock of a spool that holds nothing."""
        if not (self.parts() or self.underway.exists()):
            _lock(self._folder, self.name).unlink(missing_ok=True)
        os.close(self._handle)


def spools_in(folder: Path) -> list[str]:
    """Names of all that left something, if only a lock."""
    locks = {path.name.removesuffix(_SUFFIX) for path in folder.glob(f"*{_SUFFIX}")}
    noting = {path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}")}
    return sorted(locks | noting | set(parts_of(folder)))


def _lock(folder: Path, name: str) -> Path:
    return folder / f"{name}{_SUFFIX}"
