"""What breaks in a soak, and when. Pure: the dice are given.

Rules
1. Kinds come in turn, in an order of the dice: none is left out for long.
2. One fault at a time in each layer, so that most of the replicas and all gateways but one always
   run; faults of different layers meet as they like.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import count

from tests.soak.pace import Pace


class Layer(Enum):
    """What only one fault at a time is in."""

    REPLICA = "replica"
    GATEWAY = "gateway"
    CONTROL = "control"


class Kind(Enum):
    """The words are those of the report."""

    REPLICA_KILLED = ("replica killed", Layer.REPLICA)
    REPLICA_STOPPED = ("replica stopped: port open, no progress", Layer.REPLICA)
    REPLICA_SLOW = ("replica ten times slower", Layer.REPLICA)
    REPLICA_GARBLES = ("replica answers garbage", Layer.REPLICA)
    REPLICA_CUTS = ("replica cuts its connections after some tokens", Layer.REPLICA)
    REPLICA_ERRS = ("replica ends streams with an error and `[DONE]`", Layer.REPLICA)
    REPLICA_REFUSES = ("replica answers 503", Layer.REPLICA)
    REPLICA_FAILS = ("replica answers 500", Layer.REPLICA)
    GATEWAY_KILLED = ("gateway killed", Layer.GATEWAY)
    GATEWAY_REPLACED = ("gateway told to leave, and another started", Layer.GATEWAY)
    LEDGER_AWAY = ("ledger locked by somebody else", Layer.CONTROL)
    CONTROLLER_KILLED = ("Controller killed", Layer.CONTROL)
    CONTROLLER_STOPPED = ("Controller stopped", Layer.CONTROL)

    def __init__(self, words: str, layer: Layer) -> None:
        self.words = words
        self.layer = layer

    @property
    def is_deadly(self) -> bool:
        """A replica dies or seems to, for which a request that it had is blamed."""
        return self in (Kind.REPLICA_KILLED, Kind.REPLICA_STOPPED, Kind.REPLICA_CUTS)


@dataclass(frozen=True, slots=True)
class Fault:
    kind: Kind
    #: Which replica or gateway; of no meaning for the others.
    target: int
    #: Seconds from the beginning of the soak.
    at_s: float
    lasts_s: float


def schedule(pace: Pace, dice: random.Random) -> list[Fault]:
    """In their order."""
    free_s = dict.fromkeys(Layer, 0.0)
    faults: list[Fault] = []
    at_s = pace.calm_s
    for kind in _in_turn(pace.rounds, dice):
        at_s += dice.expovariate(1 / pace.fault_every_s)
        begins_s = max(at_s, free_s[kind.layer])
        fault = Fault(kind, _target(kind, pace, dice), begins_s, dice.uniform(*pace.fault_lasts_s))
        if pace.rounds is None and begins_s + fault.lasts_s > pace.seconds - pace.rest_s:
            break
        free_s[kind.layer] = begins_s + fault.lasts_s
        faults.append(fault)
    return sorted(faults, key=lambda each: each.at_s)


def _in_turn(rounds: int | None, dice: random.Random) -> Iterator[Kind]:
    for _ in count() if rounds is None else range(rounds):
        kinds = list(Kind)
        dice.shuffle(kinds)
        yield from kinds


def _target(kind: Kind, pace: Pace, dice: random.Random) -> int:
    if kind.layer is Layer.GATEWAY:
        return dice.randrange(1, pace.gateways)
    return dice.randrange(pace.replicas) if kind.layer is Layer.REPLICA else 0
