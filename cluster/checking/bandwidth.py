"""What the streams between nodes say of the network. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from cluster.checking.check import Check, fail, ok, some, warn

NAME = "bandwidth"
#: Below this share of the median a pair is called slow.
SLOW = 0.5
BLOCKED_FIX = "nodes must reach every TCP port of each other: is there a firewall between them?"
SLOW_FIX = "compare cables, interfaces and MTU of the two with those of the others"


@dataclass(frozen=True, slots=True)
class Stream:
    """From one machine to another, both by name."""

    sender: str
    receiver: str
    #: To the head alone, or at the same time as the other nodes of the ring.
    to_head: bool
    #: None when no data came over, and then `cause` says why.
    bytes_per_s: float | None
    cause: str = ""

    def __str__(self) -> str:
        if self.bytes_per_s is None:
            return f"to {self.receiver}: {self.cause}"
        where = "" if self.to_head else " in the ring"
        return f"{self.bytes_per_s / 1e9:.2f} GB/s to {self.receiver}{where}"


def bandwidths(streams: Sequence[Stream]) -> Mapping[str, Check]:
    """A verdict on every machine that sent."""
    medians = {to_head: _median(streams, to_head=to_head) for to_head in (True, False)}
    senders = dict.fromkeys(stream.sender for stream in streams)
    return {
        name: _judged([each for each in streams if each.sender == name], medians)
        for name in senders
    }


def _median(streams: Sequence[Stream], *, to_head: bool) -> float:
    found = [each.bytes_per_s for each in streams if each.to_head == to_head and each.bytes_per_s]
    return median(found) if found else 0.0


def _judged(streams: Sequence[Stream], medians: Mapping[bool, float]) -> Check:
    broken = [str(each) for each in streams if each.bytes_per_s is None]
    if broken:
        return fail(NAME, some(broken), BLOCKED_FIX)
    slow = [
        f"{each}, of {medians[each.to_head] / 1e9:.2f} in the middle"
        for each in streams
        if each.bytes_per_s is not None and each.bytes_per_s < SLOW * medians[each.to_head]
    ]
    return warn(NAME, some(slow), SLOW_FIX) if slow else ok(NAME, some(list(map(str, streams))))
