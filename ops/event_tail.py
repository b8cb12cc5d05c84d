"""The log of events from its beginning, and what comes after, without a gap. Reads files; asks
nobody.
"""

from collections.abc import Iterator
from os.path import sameopenfile
from pathlib import Path
from typing import IO, Self

from deployments.event import Event
from deployments.event_log import LOG_NAME, event_of, old_part


class EventTail:
    """Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG_NAME
        #: The part that is read; None while there is none.
        self._part = _opened(old_part(self._path)) or _opened(self._path)
        #: The beginning of a line whose writer is still at work.
        self._half = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._part is not None:
            self._part.close()

    def new(self) -> Iterator[Event]:
        """Those that this has not given yet, oldest first."""
        while True:
            if self._part is not None:
                yield from self._read(self._part)
            if not self._move_on():
                return

    def _read(self, part: IO[str]) -> Iterator[Event]:
        for line in part:
            self._half += line
            if self._half.endswith("\n"):
                event, self._half = event_of(self._half), ""
                if event is not None:
                    yield event

    def _move_on(self) -> bool:
        """Opens the newest part, when that is another; nobody writes to the one before any more."""
        newest = _opened(self._path)
        if newest is None:
            return False
        if self._part is not None and sameopenfile(self._part.fileno(), newest.fileno()):
            newest.close()
            return False
        if self._part is not None:
            self._part.close()
        self._part, self._half = newest, ""
        return True


def _opened(path: Path) -> IO[str] | None:
    try:
        return path.open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
