"""What was lent outlives the Controller, whatever became of its file."""

import logging
import time
from pathlib import Path

import pytest

from deployments.lending import Lending
from serving.limits.lease import ShareReport, Use
from serving.limits.lender import SETTLE_S


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(time, "monotonic", found)
    monkeypatch.setattr(time, "time", found)
    return found


def lent(to: Lending, gateway_id: str, number: int) -> float:
    lease = to.lend(ShareReport(gateway_id, number, 0.0, (Use("key", 0.0, 1.0, 1),)))
    assert lease is not None
    return next(share.share for share in lease.shares if share.holder == "key")


def settled(path: Path, clock: Clock) -> Lending:
    started = Lending(path)
    clock.now_s += SETTLE_S
    return started


def test_a_share_of_a_gateway_that_is_silent_is_lent_to_nobody_by_the_next_controller(
    tmp_path: Path, clock: Clock
) -> None:
    path = tmp_path / "shares"
    assert lent(settled(path, clock), "killed", 1) == 1.0
    after = settled(path, clock)
    assert lent(after, "other", 1) == 0.0
    clock.now_s += 200.0
    assert lent(after, "other", 2) == 1.0


def test_what_was_lent_long_ago_is_forgotten(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "shares"
    lent(settled(path, clock), "killed", 1)
    clock.now_s += 200.0
    assert lent(settled(path, clock), "other", 1) == 1.0


@pytest.mark.parametrize("left", [b"", b"\xc1", b"\x82\xa5at_s"])
def test_a_file_that_cannot_be_read_is_told_and_holds_up_nobody(
    left: bytes, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "shares"
    path.write_bytes(left)
    assert lent(settled(path, clock), "one", 1) == 1.0
    assert "cannot be read" in caplog.text


def test_a_disk_that_takes_nothing_is_told_once(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    one = settled(tmp_path / "away" / "shares", clock)
    with caplog.at_level(logging.WARNING):
        for number in range(1, 4):
            clock.now_s += 2.0
            lent(one, "one", number)
    assert caplog.text.count("shares are not kept") == 1
