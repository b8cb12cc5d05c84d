"""How long clients noticed each fault. Pure.

Rules
1. A request that failed is laid to a fault that was there while it ran, or up to `AFTERMATH_S`
   before. Where faults of several layers meet it is laid to the nearest to what it saw: a
   connection that broke to a gateway, anything else to a replica, and to the Controller and its
   ledger only where nothing else was wrong.
2. A request that is quarantined is explained by two faults that replicas died of, each of which
   met the same question: of the corpus some come again.
3. A failure that no fault explains is a finding.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.soak.asking import BROKEN, QUARANTINED, Asked
from tests.soak.fault import Kind, Layer

AFTERMATH_S = 5.0


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault as it came: loop time when it began and when it was over."""

    kind: Kind
    target: int
    began_s: float
    ended_s: float

    def meets(self, asked: Asked) -> bool:
        is_after = asked.began_s > self.ended_s + AFTERMATH_S
        return asked.ended_s >= self.began_s and not is_after


@dataclass(frozen=True, slots=True)
class Recovery:
    """Of all faults of one kind."""

    kind: str
    faults: int
    #: Faults that no failure is laid to.
    unnoticed: int
    #: While they were there.
    requests: int
    failed: int
    #: How long they lasted, in the middle.
    lasted_s: float
    #: From the beginning of a fault to the end of the last failure laid to it, in the middle and at
    #: worst; 0 where there is none.
    noticed_s: float
    worst_s: float


def recoveries(struck: Sequence[Struck], asked: Sequence[Asked]) -> list[Recovery]:
    """By kind, in the order of `Kind`."""
    failures = {fault: list[Asked]() for fault in struck}
    for each in asked:
        if each.is_failure:
            for fault in _laid_to(each, struck):
                failures[fault].append(each)
    return [
        _recovery(kind, {f: failures[f] for f in struck if f.kind is kind}, asked)
        for kind in Kind
        if any(fault.kind is kind for fault in struck)
    ]


def unexplained(asked: Iterable[Asked], struck: Sequence[Struck]) -> list[str]:
    """Failures while nothing was wrong, and broken connections while all gateways were there."""
    everything = list(asked)
    return [
        f"request {each.number} failed ({each.kind}) and no fault explains it"
        for each in everything
        if each.is_failure
        and not _explained(each, struck)
        and not (each.kind == QUARANTINED and _is_deadly(each, everything, struck))
    ]


def _is_deadly(asked: Asked, everything: Iterable[Asked], struck: Iterable[Struck]) -> bool:
    """Two replicas may have died with this question before it was answered so."""
    same = [each for each in everything if each.is_as(asked) and each.began_s <= asked.began_s]
    deaths = (fault for fault in struck if fault.kind.is_deadly)
    return sum(any(fault.meets(each) for each in same) for fault in deaths) > 1


def _explained(asked: Asked, struck: Sequence[Struck]) -> bool:
    around = (fault for fault in struck if fault.meets(asked))
    return any(asked.kind != BROKEN or fault.kind.layer is Layer.GATEWAY for fault in around)


def _laid_to(asked: Asked, struck: Sequence[Struck]) -> list[Struck]:
    around = [fault for fault in struck if fault.meets(asked)]
    near = Layer.GATEWAY if asked.kind == BROKEN else Layer.REPLICA
    for layer in (near, *(each for each in Layer if each is not near)):
        found = [fault for fault in around if fault.kind.layer is layer]
        if found:
            return found
    return []


def _recovery(
    kind: Kind, failures: Mapping[Struck, list[Asked]], asked: Sequence[Asked]
) -> Recovery:
    noticed_s = [
        max((each.ended_s - fault.began_s for each in found), default=0.0)
        for fault, found in failures.items()
    ]
    return Recovery(
        kind.words,
        len(failures),
        sum(not found for found in failures.values()),
        sum(fault.meets(each) for fault in failures for each in asked),
        sum(map(len, failures.values())),
        round(median(fault.ended_s - fault.began_s for fault in failures), 2),
        round(median(noticed_s), 2),
        round(max(noticed_s), 2),
    )
