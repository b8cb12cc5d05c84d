from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from ops.bench.routers.prefix_cache import Holding, PrefixCache

CAPACITY = 8


def finished(cache: PrefixCache, keys: list[int], blocks: int) -> None:
    """A sequence that came, computed its prompt and went."""
    holding = cache.take(keys, blocks)
    assert holding is not None
    cache.publish(holding, keys[len(holding.keys) :])
    cache.release(holding)


def test_what_a_finished_sequence_computed_is_found_again() -> None:
    cache = PrefixCache(CAPACITY)

    finished(cache, [1, 2, 3], 4)

    assert cache.hits([1, 2, 3, 4]) == 3
    assert cache.hits([1, 9, 3]) == 1
    assert cache.used_blocks == 0


def test_what_was_not_computed_yet_is_not_found() -> None:
    cache = PrefixCache(CAPACITY)
    holding = cache.take([1, 2], 2)
    assert holding is not None

    assert cache.hits([1, 2]) == 0
    cache.publish(holding, [1])
    assert cache.hits([1, 2]) == 1


def test_the_block_let_go_longest_ago_goes_first_and_the_last_before_the_first() -> None:
    cache = PrefixCache(4)
    finished(cache, [1, 2], 2)
    finished(cache, [3, 4], 2)

    finished(cache, [5], 1)

    assert cache.hits([1, 2]) == 1
    assert cache.hits([3, 4]) == 2


def test_a_block_in_use_is_never_evicted() -> None:
    cache = PrefixCache(4)
    holding = cache.take([1, 2], 2)
    assert holding is not None
    cache.publish(holding, [1, 2])

    finished(cache, [5, 6], 2)
    finished(cache, [7, 8], 2)

    assert cache.hits([1, 2]) == 2


def test_a_sequence_without_room_is_told_and_takes_nothing() -> None:
    cache = PrefixCache(4)
    holding = cache.take([1], 3)

    assert holding is not None
    assert cache.take([9], 2) is None
    assert cache.used_blocks == 3


class Cache(RuleBasedStateMachine):
    """Sequences come, publish and go in any order."""

    holdings = Bundle("holdings")

    def __init__(self) -> None:
        super().__init__()
        self.cache = PrefixCache(CAPACITY)
        self.held = 0

    @rule(
        target=holdings,
        keys=st.lists(st.integers(0, 12), max_size=5, unique=True),
        extra=st.integers(0, 3),
    )
    def take(self, keys: list[int], extra: int) -> tuple[Holding | None, list[int], int]:
        holding = self.cache.take(keys, len(keys) + extra)
        if holding is not None:
            assert len(holding.keys) + holding.private == len(keys) + extra
        return holding, keys, len(keys) + extra

    @rule(taken=holdings)
    def publish(self, taken: tuple[Holding | None, list[int], int]) -> None:
        holding, keys, blocks = taken
        if holding is not None and len(holding.keys) + holding.private == blocks:
            self.cache.publish(holding, keys)
            assert self.cache.hits(keys) == len(keys)

    @rule(taken=consumes(holdings))
    def release(self, taken: tuple[Holding | None, list[int], int]) -> None:
        if taken[0] is not None:
            self.cache.release(taken[0])

    @invariant()
    def never_above_capacity(self) -> None:
        assert 0 <= self.cache.used_blocks <= self.cache.stored_blocks <= CAPACITY


TestCache = Cache.TestCase


@given(st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=6, unique=True), max_size=20))
def test_an_idle_cache_takes_everything_that_fits_its_capacity(prompts: list[list[int]]) -> None:
    cache = PrefixCache(CAPACITY)
    for keys in prompts:
        finished(cache, keys, CAPACITY)
    assert cache.used_blocks == 0
