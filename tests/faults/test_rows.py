"""Every fault is proven to be survived, or the table says why it is not."""

from pathlib import Path

from tests.faults.named import named_tests
from tests.faults.promises import PROMISES
from tests.faults.report import Proof, render
from tests.faults.rows import ROWS

ROOT = Path(__file__).parents[2]
NAMED = named_tests(ROOT)


def test_rows_are_numbered_in_turn() -> None:
    assert [row.number for row in ROWS] == list(range(1, len(ROWS) + 1))


def test_every_row_has_a_test_or_says_why_not() -> None:
    assert [row.number for row in ROWS if not row.why and row.number not in set(NAMED)] == []


def test_no_row_with_a_test_says_why_it_has_none() -> None:
    assert [row.number for row in ROWS if row.why and row.number in NAMED] == []


def test_no_test_is_named_after_a_row_that_there_is_not() -> None:
    assert set(NAMED) <= {row.number for row in ROWS}


def test_every_promise_is_proven_by_each_row_that_it_names() -> None:
    assert [p.name for p in PROMISES if not set(p.rows) <= set(NAMED)] == []


def test_a_page_shows_what_was_seen_and_how_long_it_took() -> None:
    passed = Proof(3, "tests/a.py::test_03_cut_mid_stream", "passed", {"200 cut": 2}, 0.0123)
    failed = Proof(3, "tests/a.py::test_03_other", "failed")
    page = render([passed, failed], "a machine")
    assert "| 3 | replica killed mid-stream | 2 x 200 cut | 0.012 s |  | 1 of 2 |" in page
    assert "- 3: cut mid stream (`tests/a.py`), passed" in page
    assert "- 3: other (`tests/a.py`), failed" in page


def test_a_row_that_nothing_proves_is_on_the_page_with_its_reason() -> None:
    page = render([], "a machine")
    assert "| 33 | a GPU falls off the bus | needs Ray" in page
