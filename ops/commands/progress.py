"""Steps as lines on stderr: one that moves while a step is under way, one that stays when it is
done.
"""

from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from deployments.apply import Progress


class StepLines:
    """Use as a context manager around the work; `taken` gets the steps that have ended well."""

    def __init__(self, taken: list[str]) -> None:
        self._taken = taken
        self._console = Console(stderr=True, highlight=False)
        self._moving = self._console.status("looking at what runs")

    def __enter__(self) -> Self:
        self._moving.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._moving.stop()

    def report(self, progress: "Progress") -> None:
        """Shows a step that begins or has ended."""
        text = escape(progress.words)
        if progress.took_s is None:
            self._moving.update(text)
        else:
            self._taken.append(progress.step.words)
            self._console.print(f"{text}: done in {progress.took_s:.1f} s")
