"""The KV blocks of one emulated engine, kept as vLLM's prefix cache keeps them.

Rules
- A block is held by the sequences that use it; held blocks are never evicted.
- A block that nobody holds stays, with its content, until room is needed; the one that was let go
  longest ago goes first, and of one sequence its last block before its first.
- A sequence that starts takes the longest run of its prompt's blocks that is there, and room for
  everything else it will need, or it waits. Reserving the answer's room too is simpler than vLLM,
  which takes it block by block and preempts when there is none.
- Never more blocks in all than the capacity.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

Key = Hashable


@dataclass(slots=True)
class Holding:
    """The blocks one sequence holds."""

    #: Shared blocks by key, in the order of the prompt.
    keys: list[Key] = field(default_factory=list)
    #: Blocks whose content nobody else can find.
    private: int = 0


@dataclass(slots=True)
class PrefixCache:
    capacity_blocks: int
    #: Holders of every block in use that has a key.
    _holders: dict[Key, int] = field(default_factory=dict)
    #: Blocks nobody holds, the next to be evicted first.
    _idle: OrderedDict[Key, None] = field(default_factory=OrderedDict)
    _private: int = 0

    @property
    def used_blocks(self) -> int:
        """Held by somebody. Idle content does not count, as in vLLM's `kv_cache_usage_perc`."""
        return len(self._holders) + self._private

    @property
    def stored_blocks(self) -> int:
        return self.used_blocks + len(self._idle)

    def hits(self, keys: Sequence[Key]) -> int:
        """How many blocks from the start of the prompt are there."""
        return sum(1 for _ in takewhile(self._has, keys))

    def _has(self, key: Key) -> bool:
        return key in self._holders or key in self._idle

    def take(self, keys: Sequence[Key], blocks: int) -> Holding | None:
        """Holds what is there of `keys` and room for the rest of `blocks`; None without room."""
        found = list(keys[: self.hits(keys)])
        idle = sum(key in self._idle for key in found)
        if self.used_blocks + idle + blocks - len(found) > self.capacity_blocks:
            return None
        for key in found:
            self._hold(key)
        self._private += blocks - len(found)
        self._evict()
        return Holding(found, blocks - len(found))

    def _hold(self, key: Key) -> None:
        self._idle.pop(key, None)
        self._holders[key] = self._holders.get(key, 0) + 1

    def _evict(self) -> None:
        while self.stored_blocks > self.capacity_blocks:
            self._idle.popitem(last=False)

    def publish(self, holding: Holding, keys: Sequence[Key]) -> None:
        """The next blocks of the prompt are computed: others may find them from now on."""
        for key in keys:
            if self._has(key):
                continue  # somebody else was quicker; this copy stays private
            holding.private -= 1
            self._private -= 1
            holding.keys.append(key)
            self._holders[key] = 1

    def release(self, holding: Holding) -> None:
        """The sequence has ended."""
        self._private -= holding.private
        for key in reversed(holding.keys):
            self._holders[key] -= 1
            if not self._holders[key]:
                del self._holders[key]
                self._idle[key] = None
        holding.keys, holding.private = [], 0
