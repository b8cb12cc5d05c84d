"""The requests that ended last are kept, and no more than so many."""

import msgspec

from deployments.recent import MOST, Recent
from tests.deployments.ledger.records import lines, usage


def test_the_newest_come_first_and_as_many_as_are_asked_for() -> None:
    recent = Recent()
    recent.add(lines(usage(request_id="1"), usage(request_id="2")))
    recent.add(lines(usage(request_id="3")))
    assert [each.request_id for each in recent.newest(2)] == ["3", "2"]
    assert [each.request_id for each in recent.newest(9)] == ["3", "2", "1"]


def test_older_ones_are_forgotten() -> None:
    recent = Recent()
    recent.add(lines(*(usage(request_id=str(number)) for number in range(MOST + 5))))
    kept = recent.newest(2 * MOST)
    assert len(kept) == MOST
    assert kept[-1].request_id == "5"


def test_a_line_that_is_no_record_is_left_out() -> None:
    recent = Recent()
    recent.add(lines(usage(request_id="1")) + b"nonsense\n" + msgspec.json.encode({}) + b"\n")
    assert [each.request_id for each in recent.newest(9)] == ["1"]
