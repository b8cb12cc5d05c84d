"""A prompt as routing sees it: chained keys of its blocks; equal keys mean equal beginnings.

Decides nothing and counts no tokens exactly; whoever calls gives the text in the order in which the
engine will see it.

Rules
1. A key stands for its block and for everything before it, down to its space: whose prompt it is
   and for which replicas. Keys of two spaces never meet, except by a collision of 64 bits, and
   that costs a worse choice and shows nothing.
2. Keys are the same in every gateway of a fleet: they depend on nothing but their input.
3. Blocks are 1 KiB at first, and an eighth of what stands before them when that is more. So a
   match is known to within an eighth of it, and the longest body has under 100 keys.
4. A text that fills no block has no keys: there is nothing worth keeping together.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

import msgspec
from xxhash import xxh3_64_intdigest

from serving.bounds import BODY_BYTES

BLOCK_BYTES = 1024
#: A block is this part of what stands before it, in whole `BLOCK_BYTES`.
_GROWTH = 8
#: Of text, roughly. Every estimate here is a comparison between replicas, which all err alike.
BYTES_PER_TOKEN = 4


class Prefix(msgspec.Struct, frozen=True):
    """The blocks of one prompt; `keys[i]` is for the first `ends_tokens[i]` tokens of it."""

    keys: Sequence[int] = ()
    #: As long as `keys`, or longer.
    ends_tokens: Sequence[int] = ()

    @property
    def tokens(self) -> int:
        """Of all blocks; what is behind the last full one has no key."""
        return self.ends_tokens[len(self.keys) - 1] if self.keys else 0


NO_PREFIX = Prefix()


def _ends() -> Iterable[int]:
    end = 0
    while end < BODY_BYTES:
        end += max(BLOCK_BYTES, end // _GROWTH // BLOCK_BYTES * BLOCK_BYTES)
        yield end


_ENDS_BYTES = tuple(_ends())
_ENDS_TOKENS = tuple(end // BYTES_PER_TOKEN for end in _ENDS_BYTES)
_BLOCKS = tuple(
    slice(start, end) for start, end in zip((0, *_ENDS_BYTES), _ENDS_BYTES, strict=False)
)


def of_text(space: str, text: bytes) -> Prefix:
    """Of the prompt's bytes: what the engine would see first stands first."""
    count = bisect_right(_ENDS_BYTES, len(text))
    if not count:
        return NO_PREFIX
    key, keys = _space_key(space), []
    for block in _BLOCKS[:count]:
        key = xxh3_64_intdigest(text[block], key)
        keys.append(key)
    return Prefix(keys, _ENDS_TOKENS)


def of_block_ids(space: str, ids: Sequence[int], block_tokens: int, prompt_tokens: int) -> Prefix:
    """Of a trace that names the blocks of a prompt by ids, each below 2**64, instead of showing
    them. A last block that the prompt does not fill has no key.
    """
    key, keys = _space_key(space), []
    for number in ids[: prompt_tokens // block_tokens]:
        key = xxh3_64_intdigest(number.to_bytes(8, "little"), key)
        keys.append(key)
    return Prefix(keys, range(block_tokens, block_tokens * (len(keys) + 1), block_tokens))


def of_session(space: str, session: bytes) -> int:
    """The key of a session that the caller named."""
    return xxh3_64_intdigest(b"session " + session, _space_key(space))


def space_of(tenant: str, replica_set: str) -> str:
    """Two tenants share nothing, and neither do two models."""
    return f"{tenant} {replica_set}"


def _space_key(space: str) -> int:
    return xxh3_64_intdigest(space.encode())
