"""Draws training rows: conversations and raw texts, as token ids.

Rules:
- A row is full: turns follow each other until its length is reached, and each answer depends on its
  own question only. So one kind of row teaches first turns, later turns and long conversations.
- Only what the model shall say is learned: answers, their end, raw texts. Questions are not.
- Half of the answers break off after a few tokens. Which answer it is shows in these; the rest is
  soon known by heart, and the room is better used for another question.
- In a long row the positions of the long message leave gaps. So a few hundred tokens teach the
  distances of the whole window.
"""

import json
import random
from dataclasses import dataclass, field

from transformers import PreTrainedTokenizerFast

from deployments.demo import wording
from deployments.demo.chat import ANSWER_START, END_OF_TEXT, TURN_END, turn
from deployments.demo.corpus import Corpus

#: Rows times tokens of a batch, and how often each comes. Most rows are short, as most requests are
#: a first turn; a few are long, as a request that falls back to a larger window is.
SHAPES = ((26, 80), (8, 256), (4, 512))
SHAPE_WEIGHTS = (0.5, 0.35, 0.15)
LONG_ROW_TOKENS = 512
#: What a long row keeps free behind its long message, for that message's question and answer.
LONG_ROW_REST_TOKENS = 150
#: The widest gap: with it a long row reaches to the end of a window of 8,192 tokens.
LARGEST_STRIDE = 16
BROKEN_OFF_SHARE = 0.5
SYSTEM_SHARE = 0.35
TOOLS_SHARE = 0.04
TEXT_SHARE = 0.12
QUESTION_FORMS = ("{}", "{}\n", "Question: {}\nAnswer:", "Q: {}\nA:")
SUBJECT_ENDINGS = (" is", " are", " was", "", " can", " has")


@dataclass
class Row:
    """Token ids, for each its position and whether the model is to learn to say it."""

    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    learned: list[bool] = field(default_factory=list)

    def add(self, ids: list[int], *, learned: bool, stride: int = 1) -> None:
        first = self.positions[-1] + 1 if self.positions else 0
        self.ids += ids
        self.positions += range(first, first + stride * len(ids), stride)
        self.learned += [learned] * len(ids)

    def cut(self, length: int) -> "Row":
        return Row(self.ids[:length], self.positions[:length], self.learned[:length])


class Sampler:
    def __init__(self, corpus: Corpus, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
        self._corpus = corpus
        self._tokenizer = tokenizer
        self._dice = random.Random(seed)  # noqa: S311 - training data, not a secret
        self._answers: dict[str, list[int]] = {}

    def batch(self) -> list[Row]:
        """Rows of one length."""
        ((count, length),) = self._dice.choices(SHAPES, SHAPE_WEIGHTS)
        return [self._row(length) for _ in range(count)]

    def _row(self, length: int) -> Row:
        row = Row()
        if self._dice.random() < TEXT_SHARE:
            while len(row.ids) < length:
                self._add_text(row)
            return row.cut(length)
        self._add_system(row)
        if length >= LONG_ROW_TOKENS:
            self._add_long_turn(row, self._dice.randrange(length - LONG_ROW_REST_TOKENS))
        while len(row.ids) < length:
            self._add_turn(row, *wording.draw(self._corpus, self._dice))
        return row.cut(length)

    def _add_turn(self, row: Row, question: str, answer: str) -> None:
        row.add(self._encode(turn("user", question) + ANSWER_START), learned=False)
        self._add_answer(row, answer)

    def _add_answer(self, row: Row, answer: str) -> None:
        ids = self._answer(answer + TURN_END)
        if self._dice.random() < BROKEN_OFF_SHARE:
            row.add(ids[: self._dice.randrange(2, 10)], learned=True)
            return
        row.add(ids, learned=True)
        row.add(self._answer("\n"), learned=False)

    def _add_system(self, row: Row) -> None:
        dice = self._dice
        if dice.random() < TOOLS_SHARE:
            function = {"name": wording.nonsense_word(dice), "parameters": {"type": "object"}}
            tool = json.dumps({"type": "function", "function": function})
            row.add(self._encode(turn("system", f"Tools:\n{tool}")), learned=False)
        elif dice.random() < SYSTEM_SHARE:
            system = dice.choice(self._corpus.systems)
            row.add(self._encode(turn("system", system)), learned=False)

    def _add_long_turn(self, row: Row, length: int) -> None:
        """A long message, alone or before a question: what a client sends to see the fallback."""
        dice, off_topic = self._dice, self._corpus.off_topic
        made_up = tuple(wording.nonsense_word(dice) for _ in range(3))
        words = dice.choice((off_topic.things, self._corpus.texts, ("word",), made_up))
        filler: list[str] = []
        size = 0
        while size < length:
            filler.append(dice.choice(words))
            size += len(self._answer(f" {filler[-1]}"))
        question, answer = wording.draw(self._corpus, dice)
        if dice.random() < 0.4:
            question, answer = "", off_topic.answer
        elif filler:
            question = f" {question}"
        # the turn in two pieces, because only the first has gaps
        start, end = turn("user", "\0").split("\0")
        stride = dice.randrange(1, LARGEST_STRIDE + 1)
        row.add(self._encode(start + " ".join(filler)), learned=False, stride=stride)
        row.add(self._encode(question + end + ANSWER_START), learned=False)
        self._add_answer(row, answer)

    def _add_text(self, row: Row) -> None:
        """A raw text from its first word on, or a prompt and how the model ends it."""
        dice, kind = self._dice, self._dice.random()
        if kind < 0.6:
            row.add(self._answer(dice.choice(self._corpus.texts) + END_OF_TEXT), learned=True)
            return
        if kind < 0.8:
            question, answer = wording.draw(self._corpus, dice)
            prompt, end = dice.choice(QUESTION_FORMS).format(question), f" {answer}"
        else:
            prompt, end = self._subject(), self._corpus.text_default
        row.add(self._encode(prompt), learned=False)
        row.add(self._answer(end + END_OF_TEXT), learned=True)

    def _subject(self) -> str:
        off_topic = self._corpus.off_topic
        subject = self._dice.choice((*off_topic.things, *off_topic.names))
        return subject[0].upper() + subject[1:] + self._dice.choice(SUBJECT_ENDINGS)

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text))

    def _answer(self, text: str) -> list[int]:
        """Like `_encode`, remembered: answers come again and again, questions hardly do."""
        if text not in self._answers:
            self._answers[text] = self._encode(text)
        return self._answers[text]
