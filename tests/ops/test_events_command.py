"""`flotilla events` reads what the Controller wrote, with or without a Controller."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from deployments import event_log
from deployments.event import Event, Kind
from deployments.event_log import EventLog
from ops.cli import main
from ops.commands import events as command
from ops.event_tail import EventTail
from tests.ops.test_cli import _vllm_says_yes, flotilla

__all__ = ["_vllm_says_yes"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def event(number: int, text: str = "1 -> 2: there is room") -> Event:
    return Event(1.7e9 + number, Kind.SCALING, f"m{number}", text)


def test_the_last_events_are_shown_oldest_first(home: Path) -> None:
    EventLog(home).add(map(event, range(5)))
    lines = flotilla("events", "--last", "2").stdout.splitlines()
    assert [line.split()[2:] for line in lines] == [
        ["scaling", f"m{number}", "1", "->", "2:", "there", "is", "room"] for number in (3, 4)
    ]


def test_as_json_each_is_a_line(home: Path) -> None:
    EventLog(home).add([event(1)])
    assert json.loads(flotilla("events", "--json").stdout) == {
        "at_s": 1.7e9 + 1,
        "kind": "scaling",
        "subject": "m1",
        "text": "1 -> 2: there is room",
    }


def test_where_there_are_none_it_says_when_they_begin() -> None:
    result = flotilla("events")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "they begin with the first deploy" in result.stderr


def test_a_cause_cannot_move_the_cursor(home: Path) -> None:
    EventLog(home).add([event(1, "no \x1b[2J\nroom")])
    assert flotilla("events").stdout.splitlines()[0].endswith("no  [2J room")


def test_a_tail_gives_each_event_once_and_none_is_lost_where_parts_change(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "PART_BYTES", 300)
    log, seen = EventLog(home), []
    with EventTail(home) as tail:
        for number in range(12):
            log.add([event(number)])
            seen += [each.subject for each in tail.new()]
    assert seen == [f"m{number}" for number in range(12)]


def test_a_line_that_is_being_written_is_given_when_it_is_whole(home: Path) -> None:
    EventLog(home).add([event(1)])
    path = home / event_log.LOG_NAME
    line = path.read_text()
    with EventTail(home) as tail:
        assert len(list(tail.new())) == 1
        with path.open("a") as file:
            file.write(line[:20])
            file.flush()
            assert list(tail.new()) == []
            file.write(line[20:])
        assert len(list(tail.new())) == 1


def test_following_goes_on_until_ctrl_c(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(home)
    log.add([event(1)])
    pauses = iter((lambda: log.add([event(2)]), _interrupt))
    monkeypatch.setattr(command, "_pause", lambda: next(pauses)())
    result = CliRunner().invoke(main, ["events", "--follow", "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    assert [json.loads(line)["subject"] for line in result.stdout.splitlines()] == ["m1", "m2"]


def _interrupt() -> None:
    raise KeyboardInterrupt
