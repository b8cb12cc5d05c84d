"""Which nodes are suspect: the driver of such a node answers for fewer accelerators than the
inventory says, as when a GPU has fallen off the bus. Pure.

Rules
1. A node is suspect when its driver has answered for too few for `CERTAIN_S`, however many they
   were, and no more when it has answered for all for as long: an answer that fails now and then
   changes nothing.
2. No answer is no news. A node that has never answered for any accelerator is not judged: where the
   driver cannot be asked, nothing is known. Nor are slots of a CPU.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cluster.inventory import Inventory, Node

#: An engine on a lost accelerator has died long before; a start that is tried once more in that
#: time costs nothing.
CERTAIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a driver answers for."""

    accelerators: int
    #: The first of the answers in a row that were all enough, or all too few, on a clock that never
    #: goes back.
    since_s: float


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What is known of the nodes' accelerators, each by the address of its node."""

    seen: Mapping[str, Sighting] = field(default_factory=dict)
    #: What is wrong with each node that is suspect.
    suspects: Mapping[str, str] = field(default_factory=dict)

    @property
    def answering(self) -> dict[str, int]:
        """For how many accelerators each driver answered last, by the address of its node."""
        return {address: sighting.accelerators for address, sighting in self.seen.items()}

    def after(self, answers: Mapping[str, int], inventory: Inventory, now_s: float) -> "Suspicion":
        """With one more answer of each driver that has answered: its number of accelerators."""
        seen: dict[str, Sighting] = {}
        suspects: dict[str, str] = {}
        for node in inventory.nodes:
            should_be = _accelerators(inventory, node)
            sighting = self._sighting(node.address, answers.get(node.address), should_be, now_s)
            if sighting is None or not should_be:
                continue
            seen[node.address] = sighting
            heard_for_s = now_s - sighting.since_s if node.address in answers else 0.0
            if self._is_suspect(node.address, sighting, should_be, heard_for_s):
                suspects[node.address] = self._what(node.address, sighting, should_be)
        return Suspicion(seen, suspects)

    def _what(self, address: str, seen: Sighting, should_be: int) -> str:
        if seen.accelerators >= should_be:  # not for long enough
            return self.suspects[address]
        return f"suspect: its driver answers for {seen.accelerators} of {should_be} accelerators"

    def _sighting(
        self, address: str, answer: int | None, should_be: int, now_s: float
    ) -> Sighting | None:
        """Rule 2."""
        before = self.seen.get(address)
        if answer is None or (before is None and answer == 0):
            return before
        if before is None or (before.accelerators < should_be) != (answer < should_be):
            return Sighting(answer, now_s)
        return Sighting(answer, before.since_s)

    def _is_suspect(self, address: str, seen: Sighting, should_be: int, heard_for_s: float) -> bool:
        """Rule 1."""
        if heard_for_s < CERTAIN_S:
            return address in self.suspects
        return seen.accelerators < should_be


def _accelerators(inventory: Inventory, node: Node) -> int:
    """That a driver can answer for."""
    found = inventory.accelerators_of(node)
    each = found.each()
    return 0 if each is None or each.is_cpu else found.count
