"""What has happened, newest first: what the Controller has written down with its reasons, and acts
of operators. Pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ops.dashboard.facts import Facts

MOST_SHOWN = 100
#: The kind of an operator's act; others are the Controller's.
ACT = "act"


@dataclass(frozen=True, slots=True)
class EventView:
    #: Wall clock, seconds.
    at_s: float
    kind: str
    subject: str
    text: str


def events(facts: Facts) -> tuple[EventView, ...]:
    every = [*_written(facts), *_acts(facts)]
    return tuple(sorted(every, key=lambda event: -event.at_s)[:MOST_SHOWN])


def _written(facts: Facts) -> Iterator[EventView]:
    for row in facts.controller.get("events", ()):
        yield EventView(row["at_s"], str(row["kind"]), row["subject"], row["text"])


def _acts(facts: Facts) -> Iterator[EventView]:
    for row in facts.books.audit:
        yield EventView(row.at_s, ACT, row.subject, f"{row.act} by {row.who}")
