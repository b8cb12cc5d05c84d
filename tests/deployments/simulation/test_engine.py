"""One engine: what a step holds, how long it takes, who waits for what."""

from dataclasses import dataclass
from heapq import heapify, heappop

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.simulation.engine import Engine, Work
from tests.deployments.simulation.times import BLOCK, engine, service_time, work


def played(under_test: Engine, works: list[Work]) -> list[Work]:
    """Each comes at its time; the works in the order in which they ended."""
    queue = [(each.arrival.at_s, number, each) for number, each in enumerate(works)]
    heapify(queue)
    ended: list[Work] = []
    while queue or under_test.next_s is not None:
        next_s = under_test.next_s
        if queue and (next_s is None or queue[0][0] < next_s):
            at_s, _, each = heappop(queue)
            under_test.add(each, at_s)
        else:
            ended += under_test.advance().ended
        assert 0 <= under_test.cache.in_use <= under_test.cache.capacity
    return ended


def test_a_prompt_in_chunks_makes_its_first_token_with_the_last_of_them() -> None:
    one = work(prompt=250, output=3)
    played(engine(service_time(tokens=100)), [one])
    # Three steps of a second with 2.5 s of prompt, then two more tokens.
    assert one.first_token_s == pytest.approx(3 + 2.5 + 0.5)
    assert one.ended_s == pytest.approx(3 + 2.5 + 2 + 0.5)


def test_decoding_goes_on_while_a_prompt_is_computed() -> None:
    first, second = work(prompt=16, output=5), work(prompt=40, output=1, at_s=2.0)
    played(engine(service_time()), [first, second])
    assert first.first_token_s == pytest.approx(1.16 + 0.5)
    # It waits for the end of the step that is under way, and one with its prompt in it.
    assert second.first_token_s == pytest.approx(2.16 + 1.4 + 0.5)
    assert first.ended_s == pytest.approx(1.16 + 4 + 0.4 + 0.5)


def test_only_so_many_run_at_once_and_the_others_wait_in_their_order() -> None:
    works = [work(prompt=16, output=2) for _ in range(5)]
    under_test = engine(service_time(sequences=2))
    for each in works:
        under_test.add(each, 0.0)
    # The first had the engine for itself when it came.
    assert (under_test.running, len(under_test.waiting)) == (1, 4)
    assert [works.index(each) for each in played(under_test, [])] == [0, 1, 2, 3, 4]


def test_a_prefix_in_the_cache_is_not_computed_again_but_for_its_last_token() -> None:
    blocks = (1, 2, 3)
    first = work(prompt=48, output=1, blocks=blocks)
    second = work(prompt=48, output=1, blocks=blocks, at_s=100.0)
    longer = work(prompt=60, output=1, blocks=blocks, at_s=200.0)
    played(engine(service_time()), [first, second, longer])
    assert [each.found_tokens for each in (first, second, longer)] == [0, 32, 48]
    assert second.first_token_s == pytest.approx(100 + 1 + 0.16 + 0.5)


def test_contexts_make_steps_longer() -> None:
    plain, long = work(prompt=96, output=11), work(prompt=96, output=11)
    played(engine(service_time()), [plain])
    played(engine(service_time(context_token_s=0.01)), [long])
    assert plain.ended_s is not None
    assert long.ended_s is not None
    # Ten steps behind 96 to 105 tokens.
    assert long.ended_s - plain.ended_s == pytest.approx(0.01 * sum(range(96, 106)))


def test_where_decoding_finds_no_room_the_last_one_begins_anew() -> None:
    under_test = engine(service_time(blocks=1 + 8))
    first, second = work(prompt=32, output=60), work(prompt=32, output=60)
    ended = played(under_test, [first, second])
    assert under_test.preempted > 0
    assert ended == [first, second]
    assert under_test.cache.in_use == 0


def test_who_waited_too_long_does_not_begin() -> None:
    under_test = engine(service_time(sequences=1), patience_s=5.0)
    first, second = work(prompt=16, output=20), work(prompt=16, output=1)
    assert played(under_test, [first, second]) == [first, second]
    assert second.ended_s is None


def test_what_the_empty_cache_cannot_hold_is_known_before() -> None:
    under_test = engine(service_time(blocks=1 + 4))
    assert under_test.can_ever_hold(work(prompt=4 * BLOCK - 4, output=4).arrival)
    assert not under_test.can_ever_hold(work(prompt=4 * BLOCK - 4, output=5).arrival)


@dataclass(frozen=True)
class Some:
    """A request of a random run."""

    prompt: int
    output: int
    root: int
    at_s: float

    def work(self) -> Work:
        blocks = tuple(self.root * 100 + n for n in range(self.prompt // BLOCK))
        return work(self.prompt, self.output, blocks, self.at_s)


SOME = st.builds(Some, st.integers(1, 150), st.integers(1, 60), st.integers(0, 3), st.floats(0, 50))


@settings(max_examples=150)
@given(
    some=st.lists(SOME, min_size=1, max_size=12),
    tokens=st.integers(1, 200),
    sequences=st.integers(1, 5),
    blocks=st.integers(1 + 14, 60),
)
def test_every_request_is_answered_once_and_nothing_stays_behind(
    some: list[Some], tokens: int, sequences: int, blocks: int
) -> None:
    under_test = engine(service_time(tokens, sequences, blocks, context_token_s=0.001))
    works = [each.work() for each in some]
    ended = played(under_test, works)
    assert sorted(map(id, ended)) == sorted(map(id, works))
    for each in works:
        arrival = each.arrival
        assert each.found_tokens is not None
        assert 0 <= each.found_tokens < arrival.prompt_tokens
        assert each.first_token_s is not None
        assert each.ended_s is not None
        # A step takes a second, and every token but the first is one of them.
        assert each.first_token_s >= arrival.at_s + 1
        assert each.ended_s >= each.first_token_s + arrival.output_tokens - 1 - 1e-6
    assert under_test.cache.in_use == 0
    assert under_test.tokens_in_flight == 0
    assert under_test.running == 0
