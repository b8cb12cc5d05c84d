"""The requests that replicas have now, one slot each, in memory that a file shares. A gateway that
is killed takes them with it; its successor finds here what they were, and records them.

Rules
- A request is noted before a replica gets it, and let go once its record is in the spool. Whoever
  is killed between the two leaves both, and the ledger counts a request once.
- A slot is taken when the length of its line is there, which is written last and taken away first.
- All of the file's room is taken when it is made, so a full disk is met there.
- What finds no slot free, or fits none, is not noted.
"""

import contextlib
from pathlib import Path
from struct import Struct

import msgspec

from serving.bounds import UNDERWAY_BYTES, UNDERWAY_REQUESTS
from serving.spool_part import mapped
from serving.usage import Sent

SUFFIX = ".underway"
_LENGTH = Struct("<H")
_LENGTH_BYTES = _LENGTH.size
_write_length = _LENGTH.pack_into
_encode = msgspec.json.Encoder().encode
_sent = msgspec.json.Decoder(Sent).decode


class Underway:
    """Of one gateway."""

    def __init__(self, path: Path) -> None:
        """Makes the file. Raises OSError and leaves nothing behind."""
        self._path = path
        self._map = mapped(path, UNDERWAY_REQUESTS * UNDERWAY_BYTES)
        #: Where free slots begin. The last one that was used comes first: its memory is there.
        self._free = list(range(0, UNDERWAY_REQUESTS * UNDERWAY_BYTES, UNDERWAY_BYTES))[::-1]

    def note(self, request: Sent) -> int | None:
        """The slot that holds it from now on; None where there is none for it."""
        line = _encode(request)
        start, size = _LENGTH_BYTES, len(line)
        if not self._free or start + size > UNDERWAY_BYTES:
            return None
        slot = self._free.pop()
        start += slot
        self._map[start : start + size] = line
        _write_length(self._map, slot, size)
        return slot

    def let_go(self, slot: int) -> None:
        """To be called once for a slot of `note`."""
        _write_length(self._map, slot, 0)
        self._free.append(slot)

    def close(self) -> None:
        """Leaves a file only where something is still noted."""
        self._map.close()
        if len(self._free) == UNDERWAY_REQUESTS:
            with contextlib.suppress(OSError):
                self._path.unlink()


def underway_path(folder: Path, name: str) -> Path:
    return folder / f"{name}{SUFFIX}"


def noted(path: Path) -> bytes:
    """The records of what a gateway had under way that is gone, as lines of a spool; none where
    there is no file. Raises OSError.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return b""
    lines = (_line(data, slot) for slot in range(0, len(data), UNDERWAY_BYTES))
    return b"".join(_record(line) + b"\n" for line in lines if line)


def _line(data: bytes, slot: int) -> bytes:
    start = slot + _LENGTH_BYTES
    [size] = _LENGTH.unpack_from(data, slot)
    return data[start : start + size]


def _record(line: bytes) -> bytes:
    """What cannot be read goes on as it is: the ledger says of a line what is wrong with it."""
    try:
        return _encode(_sent(line).lost())
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return line
