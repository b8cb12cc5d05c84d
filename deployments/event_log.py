"""The events of a fleet on the head's disk, the newest few thousand: they outlive the Controller
that wrote them, and who reads them needs nobody.

Rules
- One line of JSON each; a line that is not whole is skipped.
- Two parts: when the current one is full it becomes the old one, and the old one goes.
- A disk that is full costs events, never the Controller.
"""

import json
import logging
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from deployments.event import Event, Kind

LOG_NAME = "events.jsonl"
#: Of each part.
PART_BYTES = 1 << 20
#: That are kept in memory, for whoever looks at the status.
RECENT = 100

_log = logging.getLogger(__name__)


class EventLog:
    """One writer at a time, the Controller."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOG_NAME
        self._recent = deque(events_in(folder), maxlen=RECENT)

    def add(self, events: Iterable[Event]) -> None:
        """Writes them down."""
        new = tuple(events)
        if not new:
            return
        self._recent.extend(new)
        try:
            self._write("".join(_line(event) for event in new))
        except OSError as error:
            _log.warning("events are not written: %s: %s", self.path, error.strerror)

    def recent(self) -> tuple[Event, ...]:
        """The newest, oldest first."""
        return tuple(self._recent)

    def _write(self, text: str) -> None:
        with suppress(FileNotFoundError):
            if self.path.stat().st_size >= PART_BYTES:
                self.path.replace(old_part(self.path))
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)


def old_part(path: Path) -> Path:
    """The part before the current one."""
    return path.with_name(f"{path.name}.1")


def events_in(folder: Path) -> Iterator[Event]:
    """All that are on disk, oldest first."""
    current = folder / LOG_NAME
    for path in (old_part(current), current):
        with suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as file:
            yield from filter(None, map(event_of, file))


def event_of(line: str) -> Event | None:
    """None for a line that is not whole."""
    try:
        raw = json.loads(line)
        return Event(float(raw["at_s"]), Kind(raw["kind"]), str(raw["subject"]), str(raw["text"]))
    except (ValueError, KeyError, TypeError):
        return None


def _line(event: Event) -> str:
    return json.dumps(asdict(event), ensure_ascii=False) + "\n"
