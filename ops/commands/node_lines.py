"""Bring-up on stderr: one line that moves with who is at work on what, one that stays for each step
that all have ended, and at once for each machine that failed.
"""

from dataclasses import dataclass, field
from typing import Self

from rich.console import Console
from rich.markup import escape

from cluster.bringup import Failure, Progress, Step

#: Names in the moving line.
SHOWN = 4


@dataclass(slots=True)
class _Tally:
    at_work: set[str] = field(default_factory=set)
    done: list[tuple[float, str]] = field(default_factory=list)
    failed: int = 0


class NodeLines:
    """Use as a context manager around the work."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._moving = self._console.status("looking at the machines")
        self._steps: dict[Step, _Tally] = {}

    def __enter__(self) -> Self:
        self._moving.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._moving.stop()

    def report(self, progress: Progress) -> None:
        """Shows that a machine has begun or ended a step."""
        tally = self._steps.setdefault(progress.step, _Tally())
        if progress.took_s is None:
            tally.at_work.add(progress.node)
        else:
            self._ended(tally, progress, progress.took_s)
        self._show(progress.step, tally)

    def _ended(self, tally: _Tally, progress: Progress, took_s: float) -> None:
        tally.at_work.discard(progress.node)
        if progress.failure is None:
            tally.done.append((took_s, progress.node))
        else:
            tally.failed += 1
            text = line(progress.node, progress.failure)
            self._console.print(text, style="red", markup=False, soft_wrap=True)
        if not tally.at_work and tally.done:
            slowest_s, node = max(tally.done)
            who = f", the slowest {node}" if len(tally.done) > 1 else f" on {node}"
            total = len(tally.done) + tally.failed
            count = f"{len(tally.done)} of {total}"
            self._console.print(escape(f"{progress.step:8}{count} in {slowest_s:.1f} s{who}"))

    def _show(self, step: Step, tally: _Tally) -> None:
        names = sorted(tally.at_work)
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        if names:
            self._moving.update(escape(f"{step}: {', '.join(names[:SHOWN])}{more}"))


def line(node: str, failure: Failure) -> str:
    """A machine's failure in one line."""
    fix = f": {failure.fix}" if failure.fix else ""
    return f"{node}: {failure.step}: {failure.cause}{fix}"
