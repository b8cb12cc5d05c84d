"""Every fault is proven to be survived, or the table says why it is not."""

from pathlib import Path

from tests.faults.__main__ import KEPT, read
from tests.faults.named import chosen, named_tests
from tests.faults.promises import PROMISES
from tests.faults.report import Proof, render, renewed
from tests.faults.rows import ROWS

ROOT = Path(__file__).parents[2]
NAMED = named_tests(ROOT)


def test_rows_are_numbered_in_turn() -> None:
    assert [row.number for row in ROWS] == list(range(1, len(ROWS) + 1))


def test_every_row_has_a_test_or_says_why_not() -> None:
    assert [row.number for row in ROWS if not row.why and row.number not in set(NAMED)] == []


def test_no_row_with_a_test_says_why_it_has_none() -> None:
    assert [row.number for row in ROWS if row.why and row.number in NAMED] == []


def test_a_row_has_its_recovery_measured_or_nothing_to_recover() -> None:
    proofs = read(KEPT)
    measured = {proof.row for proof in proofs if proof.recovery_s is not None}
    shown = {proof.row for proof in proofs}
    calm = {row.number for row in ROWS if row.calm}
    assert (shown - measured - calm, calm & measured) == (set(), set())


def test_no_test_is_named_after_a_row_that_there_is_not() -> None:
    assert set(NAMED) <= {row.number for row in ROWS}


def test_every_promise_is_proven_by_each_row_that_it_names() -> None:
    assert [p.name for p in PROMISES if not set(p.rows) <= set(NAMED)] == []


def test_a_page_shows_what_was_seen_and_how_long_it_took_with_each_rig() -> None:
    passed = Proof(3, "tests/a.py::test_03_cut_mid_stream", "passed", {"200 cut": 2}, 0.0123)
    failed = Proof(3, "tests/a.py::test_03_other", "failed")
    real = Proof(3, "tests/live/b.py::test_03_real", "passed", {}, 61.27, on="a day, a machine")
    page = render([passed, failed, real])
    fault = "| 3 | replica killed mid-stream |"
    assert f"{fault} scripted engines | 2 x 200 cut | 0.012 s |  | 1 of 2 |" in page
    assert f"{fault} Ray, real engines | see the test | 61.3 s |  | 1 of 1 |" in page
    assert "Measured with Ray, real engines: a day, a machine." in page
    assert "- 3: cut mid stream (`tests/a.py`), passed" in page
    assert "- 3: other (`tests/a.py`), failed" in page


def test_a_row_that_nothing_proves_is_on_the_page_with_its_reason() -> None:
    page = render([])
    for row in ROWS:
        reason = row.why or "its test was not run for this page"
        assert f"| {row.number} | {row.fault} | {reason} |" in page


def test_what_was_not_run_again_is_kept_and_what_is_no_test_any_more_is_not() -> None:
    old = [Proof(1, "a", "failed"), Proof(2, "b", "passed"), Proof(3, "gone", "passed")]
    new = Proof(1, "a", "passed")
    assert renewed(old, [new], ["a", "b"]) == [new, old[1]]


def test_without_a_word_the_tests_are_those_that_need_no_ray() -> None:
    tests = ["tests/faults/a.py::t", "tests/live/b.py::t", "tests/hosts/c.py::t"]
    assert chosen(tests, []) == tests[:1]
    assert chosen(tests, ["live/b.py", "tests/hosts"]) == tests[1:]
