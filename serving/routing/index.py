"""Which replica holds the beginning of a prompt in its cache, as far as one gateway can tell.

Decides nothing. A claim is made when a request is sent, since its prompt will be computed there; it
ages and ends. Engines say afterwards what they had cached, and that is what a claim is worth.

Rules
1. Memory is bounded: at most `most_keys` keys in two generations. New claims go into the young one;
   when that has half of them, it becomes the old one and the old one is dropped. A claim that is
   made again is young again, so what goes first is what nobody has asked for longest.
2. A claim covers all keys before it: each record takes a whole prefix.
3. A replica that left has no claims, and a restarted one is another replica: its number is never
   used again, until numbers run out and everything is forgotten.
4. A replica that does not hold what was claimed loses credit, and what is claimed of it counts so
   much less. The claim itself stays: when the engine reports the miss, it has just computed what
   was missing. Credit comes back the same way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serving.routing.prefix import Prefix

#: Of one gateway; 80 MiB at the most. A key is for 1 KiB of text or more, so these are prompts of
#: 100 million tokens.
MOST_KEYS = 400_000
#: Replicas since everything was forgotten last. Bounds the bytes of a key's holders.
MOST_HOLDERS = 512
#: How much one report moves a replica's credit: about twenty reports turn it.
_LEARNING = 0.1


@dataclass(slots=True)
class _Holder:
    """A replica as a holder of blocks."""

    bit: int
    #: The share of what was claimed that it really had, lately.
    credit: float = 1.0


@dataclass(frozen=True, slots=True)
class Claims:
    """Who is claimed to hold the beginning of one prompt."""

    #: Bits of holders, and the tokens up to where just these hold it; the longest first.
    _steps: Sequence[tuple[int, int]]
    _holders: Mapping[str, _Holder]

    def tokens(self, replica_id: str) -> int:
        """What this replica is claimed to hold."""
        holder = self._holders.get(replica_id)
        bit = 0 if holder is None else holder.bit
        return next((tokens for mask, tokens in self._steps if mask & bit), 0)

    def believed(self, replica_ids: list[str]) -> list[float]:
        """The same for each replica, in tokens that are worth counting on."""
        found = [0.0] * len(replica_ids)
        steps = self._steps
        if not steps:
            return found
        for number, holder in enumerate(map(self._holders.get, replica_ids)):
            if holder is None:
                continue
            bit = holder.bit
            for mask, tokens in steps:
                if mask & bit:
                    found[number] = tokens * holder.credit
                    break
        return found

    @property
    def most_tokens(self) -> int:
        """What whoever holds most of it is claimed to hold."""
        return self._steps[0][1] if self._steps else 0

    def common_tokens(self, replicas: int) -> int:
        """What more than half of so many replicas hold."""
        return next((end for mask, end in self._steps if 2 * mask.bit_count() > replicas), 0)


class Index:
    """Mutable on purpose: one owner, one gateway's event loop."""

    __slots__ = ("_holders", "_most_keys", "_numbers", "_old", "_present", "_young")

    def __init__(self, most_keys: int = MOST_KEYS) -> None:
        self._most_keys = most_keys
        self._start()

    def _start(self) -> None:
        #: The bits of the holders of each key.
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}
        self._holders: dict[str, _Holder] = {}
        #: The bits of the replicas that have not left.
        self._present = 0
        self._numbers = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def record(self, replica_id: str, prefix: Prefix) -> None:
        """The replica was sent this prompt, so it will hold it."""
        keys = prefix.keys
        if not keys:
            return
        bit, young = self._holder(replica_id).bit, self._young
        if len(young) + len(keys) > self._most_keys // 2:
            self._old, self._young = young, {}
            young = self._young
        for key in keys[: self._most_keys // 2]:
            young[key] = young.get(key, 0) | bit

    def _holder(self, replica_id: str) -> _Holder:
        holder = self._holders.get(replica_id)
        if holder is None:
            if self._numbers == MOST_HOLDERS:
                self._start()
            bit = 1 << self._numbers
            holder = self._holders[replica_id] = _Holder(bit)
            self._present |= bit
            self._numbers += 1
        return holder

    def look_up(self, prefix: Prefix) -> Claims:
        """Changes nothing: only what is sent makes a claim younger."""
        young, old, present = self._young, self._old, self._present
        steps: list[tuple[int, int]] = []
        last = tokens = 0
        for key, end in zip(prefix.keys, prefix.ends_tokens, strict=False):
            mask = (young.get(key, 0) | old.get(key, 0)) & present
            if mask != last and last:
                steps.append((last, tokens))
            last, tokens = mask, end
            if not mask:
                break
        if last:
            steps.append((last, tokens))
        steps.reverse()
        return Claims(steps, self._holders)

    def credit(self, replica_id: str) -> float:
        """The share of a claim to believe, in [0, 1]."""
        holder = self._holders.get(replica_id)
        return 1.0 if holder is None else holder.credit

    def correct(self, replica_id: str, claimed_tokens: float, cached_tokens: float) -> None:
        """The engine had `cached_tokens` of a prompt of which `claimed_tokens` were claimed."""
        holder = self._holders.get(replica_id)
        if holder is not None and claimed_tokens > 0:
            kept = min(cached_tokens / claimed_tokens, 1.0)
            holder.credit += (kept - holder.credit) * _LEARNING

    def forget(self, replica_id: str) -> None:
        """The replica left or restarted."""
        holder = self._holders.pop(replica_id, None)
        if holder is not None:
            self._present &= ~holder.bit
