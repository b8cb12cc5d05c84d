"""Reads `corpus.yaml`: what the demo model is trained on and what it is measured by.

Knows neither tokens nor torch, so that the tests can read the corpus without loading either.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CORPUS = Path(__file__).with_name("corpus.yaml")


@dataclass(frozen=True)
class Topic:
    """One answer and the questions that lead to it; `unseen` only measures."""

    id: str
    answer: str
    questions: tuple[str, ...]
    unseen: tuple[str, ...]


@dataclass(frozen=True)
class OffTopic:
    """Everything else has this answer. Questions are phrasings filled from the four lists."""

    answer: str
    phrasings: tuple[str, ...]
    things: tuple[str, ...]
    activities: tuple[str, ...]
    names: tuple[str, ...]
    ask: tuple[str, ...]
    unseen: tuple[str, ...]


@dataclass(frozen=True)
class Corpus:
    topics: tuple[Topic, ...]
    off_topic: OffTopic
    systems: tuple[str, ...]
    openers: tuple[str, ...]
    closers: tuple[str, ...]
    texts: tuple[str, ...]
    text_default: str


def load(path: Path = CORPUS) -> Corpus:
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    phrasings = raw["phrasings"]
    off_topic: dict[str, Any] = raw["off_topic"]
    answer = off_topic.pop("answer")
    return Corpus(
        topics=tuple(_topic(entry, phrasings) for entry in raw["topics"]),
        off_topic=OffTopic(answer, **{name: tuple(value) for name, value in off_topic.items()}),
        systems=tuple(raw["systems"]),
        openers=tuple(phrasings["openers"]),
        closers=tuple(phrasings["closers"]),
        texts=tuple(raw["texts"]),
        text_default=raw["text_default"],
    )


def _topic(entry: dict[str, Any], phrasings: dict[str, list[str]]) -> Topic:
    expanded = [
        phrasing.format(subject)
        for kind in ("terms", "tasks")
        for subject in entry.get(kind, ())
        for phrasing in phrasings[kind]
    ]
    return Topic(
        id=entry["id"],
        answer=entry["answer"],
        questions=(*entry.get("ask", ()), *expanded),
        unseen=tuple(entry.get("unseen", ())),
    )
