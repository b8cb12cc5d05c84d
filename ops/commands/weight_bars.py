"""Weights on their way, on stderr: a bar for each node with rate and time left."""

import threading
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

if TYPE_CHECKING:
    from cluster.staging import Moved


class WeightBars:
    """Use as a context manager around the work."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )
        #: A node works on one checkpoint after the other.
        self._tasks: dict[str, tuple[str, TaskID]] = {}
        #: A download tells from several threads.
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bars.stop()

    def report(self, moved: "Moved") -> None:
        """Moves the node's bar."""
        with self._lock:
            self._bars.update(self._task(moved), completed=moved.done_bytes)

    def _task(self, moved: "Moved") -> TaskID:
        source, task = self._tasks.get(moved.node, ("", None))
        if task is None or source != moved.source:
            if task is not None:
                self._bars.remove_task(task)
            text = escape(f"{moved.node} {moved.source}")
            # What was there before is no part of the rate.
            task = self._bars.add_task(text, total=moved.total_bytes, completed=moved.done_bytes)
            self._tasks[moved.node] = (moved.source, task)
        return task
