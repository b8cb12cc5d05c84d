"""Draws questions, worded anew each time.

The small mistakes (case, punctuation, a typo) make the answer hang on a question's words and not on
its exact bytes. Off-topic questions come from lists, and from words that no list holds, so that
what the model has never read leads to the off-topic answer too.
"""

import random

from deployments.demo.corpus import Corpus

LETTERS = "abcdefghijklmnopqrstuvwxyz"
OFF_TOPIC_SHARE = 0.25
NONSENSE = ("{}", "What is {}?", "Who is {}?", "Write {}", "How do I {}?")
ENDINGS = ("", "", "?", "??", ".", "!", " ?")


def draw(corpus: Corpus, dice: random.Random) -> tuple[str, str]:
    """A worded question and its answer."""
    if dice.random() < OFF_TOPIC_SHARE:
        return reword(_off_topic(corpus, dice), corpus, dice), corpus.off_topic.answer
    topic = dice.choice(corpus.topics)
    return reword(dice.choice(topic.questions), corpus, dice), topic.answer


def reword(question: str, corpus: Corpus, dice: random.Random) -> str:
    if dice.random() < 0.15:
        question = dice.choice(corpus.openers) + question
    if dice.random() < 0.1:
        question += dice.choice(corpus.closers)
    if dice.random() < 0.35:
        question = question.rstrip("?!. ") + dice.choice(ENDINGS)
    if dice.random() < 0.35:
        question = question.lower()
    elif dice.random() < 0.05:
        question = dice.choice((question.upper(), question.title()))
    if question and dice.random() < 0.2:
        question = _misspell(question, dice)
    return question.strip() or "?"


def nonsense_word(dice: random.Random) -> str:
    return "".join(dice.choices(LETTERS, k=dice.randrange(2, 9)))


def _misspell(question: str, dice: random.Random) -> str:
    at = dice.randrange(len(question))
    left, here, right = question[:at], question[at], question[at + 1 :]
    dropped = left + right
    doubled = left + here * 2 + right
    wrong = left + dice.choice(LETTERS) + right
    swapped = left + right[:1] + here + right[1:]
    return dice.choice((dropped, doubled, wrong, swapped))


def _off_topic(corpus: Corpus, dice: random.Random) -> str:
    off_topic, kind = corpus.off_topic, dice.random()
    if kind < 0.3:
        return dice.choice(off_topic.ask)
    if kind < 0.4:
        words = " ".join(nonsense_word(dice) for _ in range(dice.randrange(1, 6)))
        return dice.choice(NONSENSE).format(words)
    return dice.choice(off_topic.phrasings).format(
        dice.choice(off_topic.things),
        dice.choice(off_topic.activities),
        dice.choice(off_topic.names),
        dice.randrange(10 ** dice.randrange(1, 5)),
    )
