"""Which replica a key belongs to, when nothing else decides: the same in every gateway, another one
for another key, and only the keys of a replica that leaves move.

Highest random weight (Thaler and Ravishankar, 1998).
"""

from xxhash import xxh3_64_intdigest

from serving.routing.table import Slot


def home(key: int, slots: list[Slot]) -> int:
    """Its place in `slots`, of which there is one at least. By application, so that a replica that
    restarts keeps its keys.
    """
    weights = [xxh3_64_intdigest(slot.name, key) for slot in slots]
    return weights.index(max(weights))
