"""How many requests a replica may have at once, so that those it has keep their time. Pure.

Rules
1. Beside what runs half as many may wait. Whoever is admitted then waits for about half the time
   of an answer at most, and the engine never idles for want of a next request.
2. What runs at once is what the engine says it can. Where it lets requests wait and runs fewer, its
   memory is what limits it; that is learned from report to report, and unlearned when none wait.
3. Other gateways send too. Between two reports a gateway takes no more than the share that was
   its own lately, so that a burst at all of them is not admitted once for each; but always half,
   so that one to which all clients have moved is not held back for long.
4. An engine that does not say how many it runs is never full.
"""

from dataclasses import dataclass
from math import inf
from typing import Protocol

from serving.snapshot import Load

#: Of what runs, how many may wait.
WAITING_SHARE = 0.5
#: Of what a replica may have, what one gateway may always send.
LEAST_SHARE = 0.5
#: How much one report moves what is learned: a second of long prompts is no lack of memory.
_LEARNING = 0.05


class Occupied(Protocol):
    """A replica with its requests; a slot is one."""

    @property
    def in_flight(self) -> int: ...
    @property
    def others(self) -> int: ...
    @property
    def others_share(self) -> float: ...
    @property
    def capacity(self) -> "Capacity": ...


@dataclass(slots=True)
class Capacity:
    """Of one replica."""

    #: Requests of all gateways together.
    most_at_once: float = inf
    #: What runs at once, as learned; 0 before the first report.
    _running: float = 0.0

    @property
    def running(self) -> float:
        """What runs at once, as far as anybody knows; no bound before the first report."""
        return self._running or inf

    def reported(self, load: Load, most_running: int) -> None:
        """`most_running` is the engine's own word, 0 for none."""
        if not most_running:
            return
        towards = load.running if load.waiting else most_running
        before = self._running or most_running
        learned = before + (towards - before) * _LEARNING
        self._running = min(max(learned, load.running, 1.0), most_running)
        self.most_at_once = self._running * (1.0 + WAITING_SHARE)


def has_room(slot: Occupied) -> bool:
    """Whether one more may be sent."""
    most = slot.capacity.most_at_once
    if most == inf:
        return True
    share = max(1.0 - slot.others_share, LEAST_SHARE)
    return slot.in_flight + slot.others < most and slot.in_flight < most * share
