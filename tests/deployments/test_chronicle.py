"""The chronicle and its file: what was written is found again, whoever reads it and whenever."""

import asyncio
import logging
from pathlib import Path

import pytest

from deployments import chronicle, event_log
from deployments.chronicle import Chronicle
from deployments.event import Event, Kind, Sight
from deployments.event_log import LOG_NAME, EventLog, events_in
from tests.deployments.test_plan import models
from tests.serving.reports import replica


def event(number: int) -> Event:
    return Event(float(number), Kind.NODE, f"node-{number}", "joined")


def test_a_log_that_is_opened_again_has_what_was_written(tmp_path: Path) -> None:
    EventLog(tmp_path).add([event(1), event(2)])
    again = EventLog(tmp_path)
    again.add([event(3)])
    assert again.recent() == tuple(events_in(tmp_path)) == (event(1), event(2), event(3))


def test_a_full_part_makes_room_and_two_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "PART_BYTES", 200)
    log = EventLog(tmp_path)
    for number in range(20):
        log.add([event(number)])
    kept = list(events_in(tmp_path))
    assert kept == [event(number) for number in range(20 - len(kept), 20)]
    assert 3 <= len(kept) < 20


def test_half_a_line_is_skipped(tmp_path: Path) -> None:
    EventLog(tmp_path).add([event(1)])
    with (tmp_path / LOG_NAME).open("a") as file:
        file.write('{"at_s": 1, "kind": "no')
    assert list(events_in(tmp_path)) == [event(1)]


def test_a_disk_that_takes_nothing_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = EventLog(tmp_path)
    (tmp_path / LOG_NAME).mkdir()
    with caplog.at_level(logging.WARNING):
        log.add([event(1)])
    assert log.recent() == (event(1),)
    assert "events are not written" in caplog.text


def test_the_first_sight_is_one_line_and_the_next_what_has_changed(tmp_path: Path) -> None:
    sights = iter([None, Sight((replica(),)), Sight((replica(),)), Sight()])
    kept = Chronicle(tmp_path, lambda: next(sights))
    for _ in range(4):
        kept.look()
    assert [each.kind for each in kept.recent()] == [Kind.CONTROLLER, Kind.REPLICA]
    assert kept.recent()[0].text == "began; sees 1 replicas, 0 gateways"


def test_a_controller_that_starts_takes_its_fleet_for_no_deploy(tmp_path: Path) -> None:
    kept = Chronicle(tmp_path, lambda: None)
    kept.deployed(models(a=""))
    kept.deployed(models(a=""))
    assert kept.recent() == ()
    kept.deployed(models(a="", b=""))
    assert [each.text for each in kept.recent()] == ["adds b"]


async def test_it_looks_by_itself_and_says_when_it_does_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chronicle, "LOOK_PERIOD_S", 0.0)
    looked = asyncio.Event()
    kept = Chronicle(tmp_path, looked.set)
    kept.keep()
    await asyncio.wait_for(looked.wait(), 5)
    kept.keep()
    await kept.close()
    with pytest.raises(RuntimeError, match="no longer written down"):
        kept.keep()
