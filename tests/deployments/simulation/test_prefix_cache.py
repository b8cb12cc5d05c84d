"""The cache of one replica, beside the plainest cache that could be right."""

from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.simulation.prefix_cache import PrefixCache

#: Prefixes of a small tree: equal numbers mean equal beginnings.
PROMPTS = st.sampled_from(
    [(1,), (1, 2), (1, 2, 3), (1, 2, 4), (5,), (5, 6), (5, 6, 7, 8), (9, 10, 11), ()]
)


def test_a_finished_requests_blocks_are_found_until_their_room_is_needed() -> None:
    cache = PrefixCache(blocks=1 + 6, weight=2)
    assert cache.take((1, 2), nameless=0)
    cache.give_back((1, 2), nameless=0)
    assert cache.hits((1, 2, 3)) == 2
    assert cache.take((8,), nameless=2)
    assert cache.hits((1, 2)) == 1, "the end goes before the beginning"


def test_what_a_request_holds_is_not_taken_away() -> None:
    cache = PrefixCache(blocks=1 + 4, weight=2)
    assert cache.take((1, 2), nameless=0)
    assert not cache.take((3,), nameless=0)
    assert not cache.grow(1)
    assert cache.hits((1, 2)) == 2


def test_two_requests_hold_one_prefix_once() -> None:
    cache = PrefixCache(blocks=1 + 4, weight=1)
    assert cache.take((1, 2), nameless=1)
    assert cache.take((1, 2), nameless=1)
    assert cache.in_use == 4
    cache.give_back((1, 2), nameless=1)
    assert cache.in_use == 3


def test_what_was_found_again_is_young_again() -> None:
    cache = PrefixCache(blocks=1 + 3, weight=1)
    for block in (1, 2, 3, 1):
        assert cache.take((block,), nameless=0)
        cache.give_back((block,), nameless=0)
    assert cache.take((4,), nameless=0)
    assert (cache.hits((1,)), cache.hits((2,))) == (1, 0)


def test_an_answers_blocks_take_up_room_after_it_has_ended() -> None:
    cache = PrefixCache(blocks=1 + 3, weight=1)
    assert cache.take((1,), nameless=2)
    cache.give_back((1,), nameless=2)
    assert cache.kept == 3
    assert cache.take((2,), nameless=0)
    assert cache.hits((1,)) == 1, "the answer goes first"


@settings(max_examples=200)
@given(
    capacity=st.integers(1, 30),
    weight=st.integers(1, 4),
    steps=st.lists(st.tuples(st.booleans(), PROMPTS, st.integers(0, 3)), max_size=60),
)
def test_it_never_holds_more_than_there_is_and_gives_everything_back(
    capacity: int, weight: int, steps: list[tuple[bool, tuple[int, ...], int]]
) -> None:
    cache, held = PrefixCache(1 + capacity, weight), []
    for is_taking, blocks, nameless in steps:
        if is_taking:
            before = cache.in_use, cache.kept
            if cache.take(blocks, nameless):
                held.append((blocks, nameless))
            else:
                assert (cache.in_use, cache.kept) == before
        elif held:
            cache.give_back(*held.pop(0))
        named = {block for blocks, _ in held for block in blocks}
        assert cache.in_use == len(named) * weight + sum(count for _, count in held)
        assert 0 <= cache.in_use <= capacity
        assert 0 <= cache.kept <= capacity - cache.in_use
        assert all(cache.hits(blocks) == len(blocks) for blocks, _ in held)
    for each in held:
        cache.give_back(*each)
    assert cache.in_use == 0
    assert cache.available == capacity
