"""Each rule of the books finds what breaks it."""

from dataclasses import replace

import pytest

from tests.soak.asking import BROKEN, COMPLETE, LEFT, Asked
from tests.soak.books import LONG, Books, Recorded, most_within
from tests.soak.engine import Ran

ASKED = Asked(1, "key", COMPLETE, "id-1", 4, 0.0, 1.0)
RAN = Ran("id-1", "tiny.0-a", 1, 4, True)
ELSEWHERE = Ran("id-1", "tiny.1-b", 1, 4, True)
RECORDED = Recorded("id-1", "key", "complete", 4, "tiny.0-a", "reply", 0.0, 1)
GOOD = Books([ASKED], [RAN], [RECORDED], 1, 4)


def asked(kind: str, request_id: str | None = "id-1", tokens: int | None = None) -> Asked:
    return Asked(1, "key", kind, request_id, tokens, 0.0, 1.0)


def test_an_answer_with_its_record_is_all_there_is_to_say() -> None:
    assert GOOD.findings() == []


@pytest.mark.parametrize(
    ("books", "words"),
    [
        (replace(GOOD, recorded=[], summed_requests=0, summed_tokens=0), "1 lost"),
        (replace(GOOD, ran=[RAN, ELSEWHERE]), "1 doubled"),
        (replace(GOOD, asked=[ASKED, ASKED]), "1 doubled"),
        (
            replace(GOOD, recorded=[RECORDED, RECORDED], summed_requests=2, summed_tokens=8),
            "1 doubled",
        ),
        (replace(GOOD, asked=[asked("200 cut, upstream_error")]), "is complete, its client saw"),
        (replace(GOOD, asked=[asked(COMPLETE, tokens=5)]), "has 4 tokens, its client 5"),
        (replace(GOOD, recorded=[replace(RECORDED, key_id="other")]), "is of another key"),
        (replace(GOOD, asked=[asked("429 rate_limit_exceeded")]), "1 refused and recorded"),
        (replace(GOOD, asked=[], ran=[]), "1 recorded and known to nobody"),
        (
            Books([asked("503 model_unavailable")], [RAN], [], 0, 0),
            "1 run and not recorded",
        ),
        (Books([asked(BROKEN, None)], [RAN], [], 0, 0), "1 run and not recorded"),
        (replace(GOOD, summed_requests=2), "1 summed otherwise"),
    ],
)
def test_whatever_does_not_agree_is_found(books: Books, words: str) -> None:
    [found] = [each for each in books.findings() if words in each]
    assert found


@pytest.mark.parametrize(
    "books",
    [
        Books([asked(BROKEN, None)], [RAN], [replace(RECORDED, outcome="cut")], 1, 4),
        Books([asked(LEFT, None)], [], [replace(RECORDED, outcome="client_gone")], 1, 4),
        replace(GOOD, asked=[asked(LONG)], ran=[]),
        replace(GOOD, ran=[RAN, ELSEWHERE], recorded=[replace(RECORDED, attempts=2)]),
        Books([asked("400 invalid_value", "first")] * 2, [], [], 0, 0),
    ],
    ids=[
        "recorded by its gateway's successor",
        "left before it was answered",
        "counted and too long",
        "given up and finished nonetheless",
        "refused twice under an id that its client gave",
    ],
)
def test_what_cannot_be_known_or_may_be_so_is_no_finding(books: Books) -> None:
    assert books.findings() == []


def test_the_fullest_stretch_is_found_wherever_it_begins() -> None:
    assert most_within([], 60.0) == 0
    assert most_within([0.0, 59.0, 60.0, 61.0, 200.0], 60.0) == 3
