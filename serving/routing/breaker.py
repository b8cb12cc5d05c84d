"""Whether one replica may be asked, by how it answered lately. Pure: the clock is a parameter.

Rules
1. Closed, a replica is asked. Open, it is left out until its hold is over; then one request at a
   time is its probe. The probe's first token closes it, a failed probe opens it for twice as long.
2. A request that is sent to an open one all the same, because nobody else is left, is a probe too:
   the hold ends with the first token that comes.
3. A probe that ends without a word, because its client left, leaves things as they were.
4. While it is open, news of requests that were sent before changes nothing.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from math import inf


class Symptom(StrEnum):
    """What a failed try says of its replica."""

    #: It said so itself: nothing is wrong with it.
    BUSY = "busy"
    #: A wrong or broken answer; by chance perhaps.
    FAILED = "failed"
    #: Lost with a request under way; the next connect will tell.
    DIED = "died"
    #: It takes requests and makes no token for anybody.
    HUNG = "hung"
    #: Nobody is there, or somebody else, or it does not let us in.
    UNREACHABLE = "unreachable"


#: One of these is enough.
CERTAIN = (Symptom.HUNG, Symptom.UNREACHABLE)


class State(Enum):
    CLOSED = auto()
    OPEN = auto()
    PROBING = auto()


class Event(Enum):
    TRIPPED = auto()
    SENT = auto()
    ANSWERED = auto()
    LEFT = auto()


#: What is not here changes nothing.
TRANSITIONS = {
    (State.CLOSED, Event.TRIPPED): State.OPEN,
    (State.OPEN, Event.SENT): State.PROBING,
    (State.PROBING, Event.ANSWERED): State.CLOSED,
    (State.PROBING, Event.TRIPPED): State.OPEN,
    (State.PROBING, Event.LEFT): State.OPEN,
}

#: The first hold: a process that restarts takes longer, and asking it costs one refused connect.
HOLD_S = 1.0
LONGEST_HOLD_S = 60.0
#: Enough for the longest hold: a replica that is listed and dead for a day fails far more probes.
MOST_DOUBLINGS = 6
#: Closed for so long since its last hold, a replica begins with the first hold again.
CALM_S = 60.0
FAILURES_IN_A_ROW = 5
#: Of answers that failed; and how many answers make a share.
MOST_FAILED = 0.5
SETTLED = 20
#: How much one answer moves the share at least.
_LEARNING = 0.05


@dataclass(slots=True)
class Breaker:
    """Of one replica at one gateway."""

    state: State = State.CLOSED
    #: Loop time until which the replica is left out: 0 when closed, no end while it is probed.
    out_until_s: float = 0.0
    #: Loop time at which it was last found hung; 0 for never.
    hung_s: float = 0.0
    #: Loop time at which it last made a token for anybody, as far as was looked.
    progress_s: float = 0.0
    #: How long it was or is left out last.
    hold_s: float = 0.0
    #: Of answers lately, those that failed.
    failed_share: float = 0.0
    answers: int = 0
    _failures_in_a_row: int = 0
    _holds: int = 0
    _held_until_s: float = 0.0

    @property
    def is_closed(self) -> bool:
        return self.state is State.CLOSED

    @property
    def is_failing(self) -> bool:
        """By its own answers alone."""
        is_settled = self.answers >= SETTLED
        return self._failures_in_a_row >= FAILURES_IN_A_ROW or (
            is_settled and self.failed_share >= MOST_FAILED
        )

    def sent(self) -> bool:
        """A request goes out; whether it is a probe."""
        if self.state is State.OPEN:
            self._step(Event.SENT)
            return True
        return False

    def left(self) -> None:
        """The probe is over; if it had its say, that stands."""
        self._step(Event.LEFT)

    def began(self) -> None:
        """A first token came."""
        if self.state is State.PROBING:
            self._step(Event.ANSWERED)

    def succeeded(self) -> None:
        """An answer is complete."""
        self.began()
        self._failures_in_a_row = 0
        self._count(0.0)

    def failed(self) -> None:
        """An answer is wrong, broken or missing."""
        self._failures_in_a_row += 1
        self._count(1.0)

    def trip(self, now_s: float, symptom: Symptom) -> bool:
        """Opens it; False when it was open."""
        if symptom is Symptom.HUNG:
            self.hung_s = now_s
        if self.state is State.OPEN:
            return False
        if now_s - self._held_until_s > CALM_S:
            self._holds = 0
        self.hold_s = min(HOLD_S * 2**self._holds, LONGEST_HOLD_S)
        self._held_until_s = now_s + self.hold_s
        self._holds = min(self._holds + 1, MOST_DOUBLINGS)
        self._step(Event.TRIPPED)
        return True

    def _count(self, failed: float) -> None:
        self.answers = count = self.answers + 1
        weight = _LEARNING if count > SETTLED else 1.0 / count
        self.failed_share += (failed - self.failed_share) * weight

    def _step(self, event: Event) -> None:
        state = TRANSITIONS.get((self.state, event))
        if state is None:
            return
        self.state = state
        if state is State.CLOSED:
            self.out_until_s = 0.0
            self.failed_share, self.answers, self._failures_in_a_row = 0.0, 0, 0
        else:
            self.out_until_s = inf if state is State.PROBING else self._held_until_s
