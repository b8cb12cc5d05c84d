"""A conversation as the next request tells it: what was said before, as much of it as fits. Pure.

A client is told no windows, so what fits is found out: whenever the endpoint says that a request
is too long for its window, the oldest turn is left out of it, until the question stands alone.
"""

from dataclasses import dataclass, field
from typing import Any

Message = dict[str, str]


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and what was answered to it."""

    question: str
    answer: str


@dataclass(slots=True)
class Conversation:
    """Mutable on purpose: one owner, the loop that talks."""

    model: str
    system: str | None = None
    turns: list[Turn] = field(default_factory=list)
    #: Of the oldest turns, which are too much for the window.
    left_out: int = 0

    def messages(self, question: str) -> list[Message]:
        """What to send with the next question."""
        return [*self._said(self.turns[self.left_out :]), _message("user", question)]

    def shorten(self) -> bool:
        """Leaves out one turn more; False when there is none to leave out."""
        if self.left_out == len(self.turns):
            return False
        self.left_out += 1
        return True

    def add(self, question: str, answer: str) -> None:
        """An answer that was cut is a part of it, too; one without a word is not."""
        if answer:
            self.turns.append(Turn(question, answer))

    def clear(self) -> None:
        """Begins anew."""
        self.turns.clear()
        self.left_out = 0

    def switch(self, model: str) -> None:
        """Goes on with another model, whose window may hold more."""
        self.model = model
        self.left_out = 0

    def transcript(self) -> dict[str, Any]:
        """All of it, in the shape of a request."""
        return {"model": self.model, "messages": self._said(self.turns)}

    def _said(self, turns: list[Turn]) -> list[Message]:
        messages = [] if self.system is None else [_message("system", self.system)]
        for turn in turns:
            messages += [_message("user", turn.question), _message("assistant", turn.answer)]
        return messages


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}
