"""Equal keys mean equal beginnings, for one tenant and one model only."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from serving.bounds import BODY_BYTES
from serving.routing import prefix
from serving.routing.prefix import BLOCK_BYTES, NO_PREFIX

#: Gateways of one fleet may be of two versions while it is updated.
KEYS_OF_TEXT = [10488056605887813475, 7224643980365342704]
KEYS_OF_BLOCKS = [4085779453320917299, 2298019935602547757]
SPACE = prefix.space_of("key", "model")
texts = st.binary(max_size=300).map(lambda part: part * 40)


@given(texts, texts, texts)
def test_keys_are_equal_exactly_as_far_as_the_texts_are(
    start: bytes, one: bytes, other: bytes
) -> None:
    left, right = start + one, start + other
    keys = (prefix.of_text(SPACE, left), prefix.of_text(SPACE, right))
    for place, (a, b) in enumerate(zip(keys[0].keys, keys[1].keys, strict=False)):
        end = keys[0].ends_tokens[place] * prefix.BYTES_PER_TOKEN
        assert (a == b) is (left[:end] == right[:end])


@given(st.text(max_size=20), st.text(max_size=20))
def test_two_tenants_never_share_a_key(one: str, other: str) -> None:
    text = b"the same for all of them" * 500
    keys = [
        set(prefix.of_text(prefix.space_of(tenant, "model"), text).keys) for tenant in (one, other)
    ]
    assert keys[0] == keys[1] if one == other else not keys[0] & keys[1]


def test_two_models_never_share_a_key() -> None:
    text = b"t" * 5_000
    one, other = (prefix.of_text(prefix.space_of("key", model), text).keys for model in "ab")
    assert not set(one) & set(other)


def test_every_gateway_of_every_version_makes_the_same_keys() -> None:
    assert prefix.of_text("a m", b"x" * 3_000).keys == KEYS_OF_TEXT
    assert prefix.of_block_ids("a m", [1, 2, 3], 512, 1_500).keys == KEYS_OF_BLOCKS


def test_a_text_that_fills_no_block_has_no_keys() -> None:
    assert prefix.of_text(SPACE, b"x" * (BLOCK_BYTES - 1)) is NO_PREFIX
    assert NO_PREFIX.tokens == 0
    assert prefix.of_text(SPACE, b"x" * BLOCK_BYTES).tokens == BLOCK_BYTES // 4


def test_the_longest_body_has_few_keys_and_what_is_behind_the_last_is_little() -> None:
    found = prefix.of_text(SPACE, bytes(BODY_BYTES))
    assert len(found.keys) < 100
    assert BODY_BYTES // 4 - found.tokens <= BODY_BYTES // 4 / 8


def test_blocks_grow_with_what_stands_before_them() -> None:
    ends = prefix.of_text(SPACE, bytes(BODY_BYTES)).ends_tokens
    for before, after in pairwise(ends):
        assert after - before <= max(BLOCK_BYTES // 4, before / 8)


def test_a_block_of_a_trace_that_the_prompt_does_not_fill_has_no_key() -> None:
    found = prefix.of_block_ids(SPACE, [5, 6, 7], 512, 1_400)
    assert (len(found.keys), found.tokens) == (2, 1_024)
    longer = prefix.of_block_ids(SPACE, [5, 6, 8], 512, 1_536)
    assert longer.keys[:2] == found.keys


def test_a_session_belongs_to_its_tenant() -> None:
    spaces = [prefix.space_of(tenant, "model") for tenant in ("one", "other")]
    assert len({prefix.of_session(space, b"s") for space in spaces}) == 2
    assert prefix.of_session(SPACE, b"s") != prefix.of_session(SPACE, b"t")
