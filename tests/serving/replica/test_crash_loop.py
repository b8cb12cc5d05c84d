"""Who dies again and again soon after its start waits longer and longer, up to a minute."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.replica.crash_loop import LONGEST_PAUSE_S, SHORT_LIFE_S, Life, next_life
from serving.replica.past import Past
from serving.replica.spec import ReplicaSpec

SPEC = ReplicaSpec("m.0", "m", "m", "/models/m", 1024, 1, 1, "cpu", (), 20)


def pauses(lives_s: list[float]) -> list[float]:
    """The pause before each life of so many seconds, and before the one after them."""
    life, now_s, found = Life("a"), 1e9, []
    for lived_s in lives_s:
        found.append(life.pause_s)
        now_s += life.pause_s + 30
        life = dataclasses.replace(life, ready_s=now_s)
        now_s += lived_s
        life = next_life(life, "a", now_s)
    return [*found, life.pause_s]


def test_pauses_double_from_a_second_to_a_minute() -> None:
    assert pauses([1.0] * 8) == [0, 1, 2, 4, 8, 16, 32, 60, 60]


def test_a_long_life_ends_the_loop() -> None:
    assert pauses([1.0, 1.0, SHORT_LIFE_S, 1.0]) == [0, 1, 2, 0, 1]


def test_a_start_that_never_was_ready_is_a_short_life() -> None:
    assert next_life(Life("a", 2), "a", 1e9).short_lives == 3


def test_what_was_changed_starts_at_once() -> None:
    assert next_life(Life("a", 5), "b", 1e9).pause_s == 0


@given(st.lists(st.floats(0, 1e6), max_size=200))
def test_no_pause_is_longer_than_a_minute_and_none_shrinks_within_a_loop(
    lives_s: list[float],
) -> None:
    found = pauses(lives_s)
    assert all(0 <= pause_s <= LONGEST_PAUSE_S for pause_s in found)
    for lived_s, before_s, after_s in zip(lives_s, found, found[1:], strict=False):
        assert after_s >= before_s if lived_s < SHORT_LIFE_S else after_s == 0


@pytest.fixture
def lives_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLOTILLA_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("lives_home")
def test_a_start_knows_how_the_last_one_ended() -> None:
    now_s = [1e9]
    for expected_s in (0, 1, 2):
        past = Past.of(SPEC, lambda: now_s[0])
        assert past.life.pause_s == expected_s
        past.is_ready()
        now_s[0] += 5
    Past.of(SPEC, lambda: now_s[0]).end()
    assert Past.of(SPEC, lambda: now_s[0]).life.pause_s == 0


@pytest.mark.usefixtures("lives_home")
def test_another_replica_and_another_version_have_a_past_of_their_own() -> None:
    Past.of(SPEC, lambda: 1e9)
    for other in ({"application": "m.1"}, {"window_tokens": 2048}):
        assert Past.of(dataclasses.replace(SPEC, **other), lambda: 1e9).life.pause_s == 0


def test_a_past_that_cannot_be_read_or_written_holds_up_nobody(lives_home: Path) -> None:
    path = lives_home / "lives" / "m.0.json"
    path.mkdir(parents=True)
    past = Past.of(SPEC, lambda: 1e9)
    past.is_ready()
    past.end()
    assert past.life.pause_s == 0
    path.rmdir()
    path.write_text("{")
    assert Past.of(SPEC, lambda: 1e9).life.pause_s == 0
