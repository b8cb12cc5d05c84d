"""A deploy as it is shown: what it has done, what it does, how it ended. Pure."""

from dataclasses import dataclass, replace
from typing import Self

from deployments.apply import Progress


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan as it is shown, and whether it can be confirmed."""

    #: As `flotilla plan` prints it.
    text: str
    summary: str
    #: Of what would be done and what it was read from.
    seal: str
    is_blocked: bool
    #: There is nothing to do.
    is_nothing: bool


@dataclass(frozen=True, slots=True)
class DeployView:
    """One deploy or rollback, from its confirmation on."""

    title: str
    who: str
    #: Those that ended well, one line each.
    steps: tuple[str, ...] = ()
    #: What is under way.
    at: str = "looking at what runs"
    #: How it ended, and whether well; None as long as it is under way.
    outcome: str | None = None
    is_well: bool = True

    def after(self, progress: Progress) -> Self:
        """With a step that begins or has ended."""
        text = progress.words
        if progress.took_s is None:
            return replace(self, at=text)
        done = f"{text}: done in {progress.took_s:.1f} s"
        return replace(self, steps=(*self.steps, done), at="looking at what runs")

    def ended(self, outcome: str, *, is_well: bool) -> Self:
        return replace(self, at="", outcome=outcome, is_well=is_well)
