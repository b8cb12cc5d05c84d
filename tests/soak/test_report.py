"""What is judged besides the books, and the page that is kept."""

import random
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from deployments.ledger.reconcile import Reconciliation
from tests.soak.asking import BROKEN, COMPLETE, QUARANTINED, Asked
from tests.soak.books import Books
from tests.soak.fault import Kind
from tests.soak.health import GROWTH_MIB, MIB, Idle, Life, Sample, grown, leftovers, lives
from tests.soak.made import Made, commit_of
from tests.soak.program import ROOT
from tests.soak.recovery import Struck, recoveries, unexplained
from tests.soak.report import decode, page
from tests.soak.soak import Seen, judged

KILLED = Struck(Kind.REPLICA_KILLED, 0, 10.0, 12.0)
REPLACED = Struck(Kind.GATEWAY_REPLACED, 1, 11.0, 13.0)


def failed(
    kind: str, began_s: float, ended_s: float, number: int = 1, case: str | None = None
) -> Asked:
    return Asked(number, "key", kind, "id", None, began_s, ended_s, case)


def sample(at_s: float, rss_mib: float) -> Sample:
    return Sample("gateway-0.1", at_s, round(rss_mib * MIB), 20, 10)


def test_memory_that_grows_is_found_and_a_peak_is_not() -> None:
    dice = random.Random(1)  # noqa: S311
    flat = [sample(at_s, 100 + dice.random()) for at_s in range(0, 600, 5)]
    peak = [*flat[:60], sample(300, 300.0), *flat[60:]]
    leak = [sample(at_s, 100 + at_s / 30) for at_s in range(0, 600, 5)]
    for samples, is_found in ((flat, False), (peak, False), (leak, True)):
        [life] = lives(samples, 120.0)
        assert bool(grown(life)) is is_found
    assert GROWTH_MIB < 16
    assert lives(flat[:10], 120.0) == []


@pytest.mark.parametrize("process", ["gateway-0.1", "gateway-2.3", "controller.4"])
def test_the_memory_of_every_process_that_lived_long_is_judged(process: str) -> None:
    flat = Life(process, 150.0, (90.0, 97.0, 98.0), (20, 20, 20), (10, 10, 10))
    leak = replace(flat, rss_mib=(90.0, 97.0, 98.1))
    assert judged(seen_of(flat), []) == []
    assert judged(seen_of(flat, leak), []) == [f"{process} grew by 8.1 MiB, bound 8"]


def seen_of(*found: Life) -> Seen:
    """Nobody asked anything."""
    idle = Idle("gateway-0", 10, 24, 0, 0, 0)
    told = Reconciliation(0, 0, (), 0, (), 0, 0, 0, 0, 0)
    return Seen([], [], Books([], [], [], 0, 0), list(found), idle, idle, told, [])


def test_what_an_idle_gateway_keeps_is_found() -> None:
    before = Idle("gateway-0", 10, 24, 0, 0, 0)
    assert leftovers(before, Idle("gateway-0", 11, 26, 0, 0, 0)) == []
    assert leftovers(before, Idle("gateway-0", 10, 40, 1, 2, 3)) == [
        "gateway-0 kept 1 requests",
        "gateway-0 kept 2 reservations",
        "gateway-0 kept 3 places in queues",
        "gateway-0 kept 12 more descriptors",
    ]


def test_a_failure_is_laid_to_the_fault_that_is_nearest() -> None:
    asked = [
        failed(COMPLETE, 10.0, 10.1),
        failed("502 upstream_error", 11.5, 12.0),
        failed(BROKEN, 11.5, 12.5),
    ]
    killed, replaced = recoveries([KILLED, REPLACED], asked)
    assert (killed.failed, killed.unnoticed, killed.worst_s) == (1, 0, 2.0)
    assert (replaced.failed, replaced.unnoticed, replaced.worst_s) == (1, 0, 1.5)
    assert unexplained(asked, [KILLED, REPLACED]) == []


def test_a_failure_that_no_fault_explains_is_found() -> None:
    late, broken = failed("502 upstream_error", 40.0, 41.0), failed(BROKEN, 10.5, 11.0)
    assert len(unexplained([late, broken], [KILLED])) == 2


def test_a_question_of_the_corpus_is_rightly_in_quarantine_when_two_replicas_died_with_it() -> None:
    again = Struck(Kind.REPLICA_CUTS, 1, 20.0, 21.0)
    slower = Struck(Kind.REPLICA_SLOW, 1, 20.0, 21.0)
    first, second = failed(COMPLETE, 10.5, 11.0, 1, "a"), failed(COMPLETE, 20.5, 21.0, 2, "a")
    other = failed(COMPLETE, 20.5, 21.0, 2, "b")
    late = failed(QUARANTINED, 40.0, 40.1, 3, "a")
    assert unexplained([first, second, late], [KILLED, again]) == []
    for asked, struck in (
        ([first, late], [KILLED, again]),
        ([first, other, late], [KILLED, again]),
        ([first, second, late], [KILLED, slower]),
        ([first, second, failed("500 server_error", 40.0, 40.1, 3, "a")], [KILLED, again]),
    ):
        assert len(unexplained(asked, struck)) == 1


def test_the_page_is_that_of_its_figures() -> None:
    kept = ROOT / "ops" / "soak.md"
    assert kept.read_text() == page(decode(kept.with_suffix(".json").read_bytes()))


def test_the_page_tells_when_it_was_made_of_what_and_how_much_each_process_grew() -> None:
    kept = decode((ROOT / "ops" / "soak.json").read_bytes())
    life = Life("controller.4", 150.0, (120.0, 123.0, 125.5), (32, 32, 32), (15, 16, 15))
    made = Made("2026-11-29", "abc1234, with changes")
    shown = page(replace(kept, made=made, lives=[life]))
    assert ", 2026-11-29, commit abc1234, with changes: **" in shown
    assert "| controller.4 | 150 s | 120, 123, 125.5 | 5.5 |" in shown


def test_a_tree_that_was_changed_is_not_taken_for_its_commit(tmp_path: Path) -> None:
    assert commit_of(tmp_path) == "unknown"
    file = tmp_path / "file"
    file.write_text("as it was")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    git(tmp_path, "tag", "--annotate", "v1", "--message", "a name is no hash")
    short = git(tmp_path, "rev-parse", "--short", "HEAD")
    assert commit_of(tmp_path) == short
    file.write_text("as it is")
    assert commit_of(tmp_path) == f"{short}, with changes"


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    made = subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, check=True)
    return made.stdout.decode().strip()
