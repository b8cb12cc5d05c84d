"""The KV cache of one replica, in blocks. Pure.

Rules (vLLM 0.32.0, v1/core/block_pool.py and kv_cache_manager.py)
1. What a request holds cannot be taken from it. What it has given back stays, and may be found
   again, until its room is needed; what was given back longest ago goes first.
2. Of one request the end goes before the beginning: a prefix without its beginning is worth
   nothing.
3. A prompt finds its longest prefix. Only full blocks are found; its last token is always computed.
4. Blocks that nobody can name (the unfinished end of a prompt, and answers) take up room like
   others, also after they were given back.
5. Never are more blocks in use and kept than there are.

A trace's blocks are larger than an engine's: each of them weighs as many as it covers.
"""

from collections import OrderedDict
from collections.abc import Sequence

#: vLLM's null block.
UNUSED_BLOCKS = 1


class PrefixCache:
    """The blocks of one engine."""

    __slots__ = ("_free", "_held", "_idle", "_idle_blocks", "_nameless", "_weight", "capacity")

    def __init__(self, blocks: int, weight: int) -> None:
        """`blocks` of the engine; each named one weighs `weight` of them."""
        self.capacity = blocks - UNUSED_BLOCKS
        self._weight = weight
        self._free = self.capacity
        #: Named block -> requests that hold it.
        self._held: dict[int, int] = {}
        #: Named or nameless -> its weight; the oldest first. Nameless ones have negative names.
        self._idle: OrderedDict[int, int] = OrderedDict()
        self._idle_blocks = 0
        self._nameless = 0

    @property
    def available(self) -> int:
        """Blocks that could be taken now."""
        return self._free + self._idle_blocks

    @property
    def in_use(self) -> int:
        """Blocks that requests hold."""
        return self.capacity - self.available

    @property
    def kept(self) -> int:
        """Blocks that nobody holds, and that may be found again."""
        return self._idle_blocks

    def hits(self, blocks: Sequence[int]) -> int:
        """How many named blocks are found, from the first on."""
        held, idle = self._held, self._idle
        for count, block in enumerate(blocks):
            if block not in held and block not in idle:
                return count
        return len(blocks)

    def take(self, blocks: Sequence[int], nameless: int, spare: int = 0) -> bool:
        """Holds these; False, and nothing is changed, when that would leave less than `spare`."""
        held, idle, weight = self._held, self._idle, self._weight
        idle_too = [block for block in blocks if block in idle]
        missing = sum(block not in held for block in blocks) - len(idle_too)
        needed = missing * weight + nameless
        if needed + spare > self.available - len(idle_too) * weight:
            return False
        for block in idle_too:
            self._idle_blocks -= idle.pop(block)
        for block in blocks:
            held[block] = held.get(block, 0) + 1
        self._use(needed)
        return True

    def grow(self, nameless: int) -> bool:
        """Holds more of those without a name; False when there is no room."""
        if nameless > self.available:
            return False
        self._use(nameless)
        return True

    def give_back(self, blocks: Sequence[int], nameless: int) -> None:
        """What one request held."""
        if nameless:
            self._nameless -= 1
            self._keep(self._nameless, nameless)
        held = self._held
        for block in reversed(blocks):
            if held[block] == 1:
                del held[block]
                self._keep(block, self._weight)
            else:
                held[block] -= 1

    def _keep(self, block: int, weight: int) -> None:
        self._idle[block] = weight
        self._idle_blocks += weight

    def _use(self, needed: int) -> None:
        while self._free < needed:
            _, weight = self._idle.popitem(last=False)
            self._idle_blocks -= weight
            self._free += weight
        self._free -= needed
