"""What an engine made is counted for every request; accelerator time is shared without a rest."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.replica import tally as module
from serving.replica.tally import Made, Tally
from serving.replica.telling import Telling
from serving.replica.watched import WatchedRequests
from serving.usage import EngineCount

ID = "0123456789abcdef" * 2
MADE = Made(prompt_tokens=10, cached_tokens=4, completion_tokens=3)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tally(clock: Clock) -> Tally:
    return Tally("m.0#1", 2, clock)


def counts(tally: Tally) -> list[EngineCount]:
    lines, _ = tally.untold()
    return [msgspec.json.decode(line, type=EngineCount) for line in lines.splitlines()]


class FakeDetokenizer:
    def __init__(self, tokens: int) -> None:
        self._tokens = tokens

    def num_output_tokens(self) -> int:
        return self._tokens


class FakeState:
    """What is used of vLLM's RequestState."""

    def __init__(self, name: str, tokens: int | None = 3, index: int = 0) -> None:
        self.external_req_id = name
        self.prompt_len = 10
        self.num_cached_tokens = 4
        self.request_index = index
        self.detokenizer = None if tokens is None else FakeDetokenizer(tokens)


def test_a_request_alone_has_all_accelerators(tally: Tally, clock: Clock) -> None:
    tally.began("x")
    clock.now_s += 3
    tally.ended("x", f"chatcmpl-{ID}", MADE)
    assert counts(tally) == [EngineCount("m.0#1", 0, ID, 10, 4, 3, 6.0)]


def test_requests_at_one_time_share_them(tally: Tally, clock: Clock) -> None:
    tally.began("x")
    clock.now_s += 1
    tally.began("y")
    clock.now_s += 2
    tally.ended("x", f"chatcmpl-{ID}", MADE)
    clock.now_s += 4
    tally.ended("y", f"cmpl-{ID}-0", MADE)
    assert [count.accelerator_s for count in counts(tally)] == [4.0, 10.0]


def test_the_engines_own_requests_are_nobodys_usage(tally: Tally) -> None:
    for name in ("proof", "chatcmpl-short", f"embd-{ID}", f"chatcmpl-{ID}-x"):
        tally.began(name)
        tally.ended(name, name, MADE)
    assert counts(tally) == []
    assert tally.ended_requests == 4


def test_what_is_told_is_forgotten_and_what_came_meanwhile_is_not(tally: Tally) -> None:
    tally.ended("x", f"chatcmpl-{ID}", MADE)
    _, next_number = tally.untold()
    tally.ended("y", f"chatcmpl-{ID}", MADE)
    tally.told(next_number)
    assert [count.number for count in counts(tally)] == [1]


def test_what_nobody_takes_is_bounded_and_the_loss_is_counted(
    tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_KEPT", 2)
    for _ in range(5):
        tally.ended("x", f"chatcmpl-{ID}", MADE)
    assert [count.number for count in counts(tally)] == [3, 4]
    assert tally.lost_counts == 3


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(["began", "ended"]), st.integers(0, 9))
    )
)
def test_the_shares_of_all_are_the_time_the_accelerators_had_work(
    events: list[tuple[str, str, int]],
) -> None:
    clock = Clock()
    tally = Tally("m.0#1", 4, clock)
    running: set[str] = set()
    busy_s = 0.0
    for name, event, pause_s in [*events, *((name, "ended", 1) for name in "abcd")]:
        clock.now_s += pause_s
        busy_s += pause_s if running else 0.0
        if event == "began" and name not in running:
            running.add(name)
            tally.began(name)
        elif event == "ended" and name in running:
            running.remove(name)
            tally.ended(name, f"chatcmpl-{ID}", MADE)
    assert sum(c.accelerator_s for c in counts(tally)) == pytest.approx(4 * busy_s, abs=1e-4)


# Where the tally looks into vLLM
def test_a_request_that_is_aborted_counts_as_one_that_finished(tally: Tally) -> None:
    requests = WatchedRequests(tally)
    requests["x-1"] = FakeState(f"chatcmpl-{ID}", tokens=7)
    assert requests.pop("x-1", None) is not None
    assert requests.pop("x-1", None) is None
    assert [count.completion_tokens for count in counts(tally)] == [7]


def test_of_several_answers_to_one_prompt_the_prompt_counts_once(tally: Tally) -> None:
    requests = WatchedRequests(tally)
    for index in (0, 1):
        requests[f"{index}_x"] = FakeState(f"chatcmpl-{ID}", tokens=2, index=index)
    for index in (1, 0):
        requests.pop(f"{index}_x")
    made = [(count.prompt_tokens, count.completion_tokens) for count in counts(tally)]
    assert made == [(0, 2), (10, 2)]


def test_a_request_without_text_to_come_makes_no_tokens(tally: Tally) -> None:
    requests = WatchedRequests(tally)
    requests["x"] = FakeState(f"cmpl-{ID}-0", tokens=None)
    requests.pop("x")
    assert [count.completion_tokens for count in counts(tally)] == [0]


# On the way to the ledger
async def test_counts_are_told_until_they_are_taken(
    tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    for _ in range(5):
        tally.ended("x", f"chatcmpl-{ID}", MADE)
    taken: list[int] = []
    is_away = True

    async def record(lines: bytes) -> bool:
        if is_away:
            return False
        taken.extend(msgspec.json.decode(line)["number"] for line in lines.splitlines())
        return True

    telling = Telling(tally, record)
    assert not await telling.tell()
    assert taken == []
    is_away = False
    assert await telling.tell()
    assert taken == [0, 1, 2, 3, 4]
    assert await telling.tell()
    assert taken == [0, 1, 2, 3, 4]


async def test_a_replica_that_stops_does_not_wait_for_a_ledger_that_hangs(
    tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    monkeypatch.setattr("serving.replica.telling.FAREWELL_S", 0.01)
    tally.ended("x", f"chatcmpl-{ID}", MADE)

    async def hangs(lines: bytes) -> Any:
        await asyncio.Event().wait()

    await Telling(tally, hangs).farewell()
    assert len(counts(tally)) == 1
