"""Who holds what: claims that age, end, and are worth what engines say."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from serving.routing.index import MOST_HOLDERS, MOST_KEYS, Index
from serving.routing.prefix import NO_PREFIX, Prefix, of_block_ids

BLOCK = 512


def prompt(*ids: int, tenant: str = "key") -> Prefix:
    return of_block_ids(f"{tenant} m", ids, BLOCK, BLOCK * len(ids))


def test_a_replica_is_claimed_to_hold_what_it_was_sent_as_far_as_prompts_agree() -> None:
    index = Index()
    index.record("a", prompt(1, 2, 3))
    index.record("b", prompt(1, 9))
    claims = index.look_up(prompt(1, 2, 4, 5))
    assert [claims.tokens(name) for name in "abc"] == [2 * BLOCK, BLOCK, 0]
    assert claims.most_tokens == 2 * BLOCK


def test_what_more_than_half_hold_is_common() -> None:
    index = Index()
    for name in "abc":
        index.record(name, prompt(1, 2))
    index.record("a", prompt(1, 2, 3))
    claims = index.look_up(prompt(1, 2, 3))
    assert [claims.common_tokens(replicas) for replicas in (1, 5, 6)] == [
        3 * BLOCK,
        2 * BLOCK,
        0,
    ]


def test_nobody_holds_a_prompt_without_blocks() -> None:
    index = Index()
    index.record("a", NO_PREFIX)
    claims = index.look_up(NO_PREFIX)
    assert (len(index), claims.tokens("a"), claims.most_tokens) == (0, 0, 0)
    assert claims.believed(["a"]) == [0.0]


def test_another_tenant_is_told_nothing() -> None:
    index = Index()
    index.record("a", prompt(1, 2, tenant="one"))
    assert index.look_up(prompt(1, 2, tenant="other")).most_tokens == 0


def test_a_replica_that_left_holds_nothing_even_when_its_name_comes_back() -> None:
    index = Index()
    index.record("a", prompt(1, 2))
    index.forget("a")
    assert index.look_up(prompt(1, 2)).most_tokens == 0
    index.record("a", prompt(1))
    assert index.look_up(prompt(1, 2)).tokens("a") == BLOCK
    index.forget("never seen")


def test_what_nobody_asks_for_any_more_is_forgotten_and_what_is_asked_for_stays() -> None:
    index = Index(most_keys=20)
    for number in range(100):
        index.record("a", prompt(1, 2))
        index.record("b", prompt(1_000 + number))
    assert index.look_up(prompt(1, 2)).tokens("a") == 2 * BLOCK
    assert index.look_up(prompt(1_000)).most_tokens == 0
    assert index.look_up(prompt(1_099)).most_tokens == BLOCK


def test_a_promise_that_is_not_kept_costs_credit_and_a_kept_one_restores_it() -> None:
    index = Index()
    index.record("a", prompt(1, 2))
    claims = index.look_up(prompt(1, 2))
    assert claims.believed(["a", "b"]) == [2 * BLOCK, 0.0]
    for _ in range(50):
        index.correct("a", 2 * BLOCK, 0)
    assert claims.believed(["a"])[0] < 0.01 * 2 * BLOCK
    assert claims.tokens("a") == 2 * BLOCK
    for _ in range(50):
        index.correct("a", 2 * BLOCK, 2 * BLOCK)
    assert index.credit("a") > 0.99


def test_more_than_was_claimed_is_no_more_than_kept() -> None:
    index = Index()
    index.record("a", prompt(1))
    index.correct("a", 100, 1_000)
    assert index.credit("a") == 1.0


def test_without_a_claim_there_is_nothing_to_correct() -> None:
    index = Index()
    index.correct("a", 100, 0)
    index.record("a", prompt(1))
    index.correct("a", 0, 0)
    assert index.credit("a") == 1.0


def test_a_restarted_replica_has_full_credit_again() -> None:
    index = Index()
    index.record("a-1", prompt(1))
    index.correct("a-1", 100, 0)
    index.forget("a-1")
    index.record("a-2", prompt(1))
    assert index.credit("a-2") == 1.0


def test_when_numbers_run_out_everything_is_forgotten_and_it_goes_on() -> None:
    index = Index()
    for number in range(MOST_HOLDERS):
        index.record(f"r-{number}", prompt(1))
        index.forget(f"r-{number}")
    index.record("new", prompt(2))
    assert index.look_up(prompt(2)).tokens("new") == BLOCK
    assert len(index) == 1


operations = st.lists(
    st.tuples(
        st.sampled_from(["record", "forget", "correct"]),
        st.integers(0, 5),
        st.lists(st.integers(0, 3), min_size=1, max_size=8),
    ),
    max_size=60,
)


@given(operations, st.integers(4, 24))
def test_memory_is_bounded_and_claims_are_of_what_was_sent_under_any_sequence(
    steps: list[tuple[str, int, list[int]]], most_keys: int
) -> None:
    index = Index(most_keys)
    sent: dict[str, list[list[int]]] = {}
    for what, number, ids in steps:
        name = f"r-{number}"
        if what == "record":
            index.record(name, prompt(*ids))
            sent.setdefault(name, []).append(ids)
        elif what == "forget":
            index.forget(name)
            sent.pop(name, None)
        else:
            index.correct(name, 10, len(ids))
        assert len(index) <= most_keys
        assert 0.0 <= index.credit(name) <= 1.0
        claims = index.look_up(prompt(*ids))
        for other in (f"r-{n}" for n in range(6)):
            depth = claims.tokens(other) // BLOCK
            assert not depth or ids[:depth] in [each[:depth] for each in sent[other]]


def test_a_full_index_takes_no_more_than_80_mebibytes() -> None:
    """Every key held by replicas with the largest numbers: the widest masks there are."""
    index, keys = Index(), 64
    names = [f"r-{number}" for number in range(MOST_HOLDERS)]
    for name in names:
        index.record(name, prompt(1))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(MOST_KEYS // keys - 4):
        first = 2**63 + number * keys
        index.record(names[-1 - number % 4], Prefix(range(first, first + keys), range(keys)))
    most_bytes = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert len(index) > 0.99 * MOST_KEYS
    assert most_bytes < 80 * 1024 * 1024
