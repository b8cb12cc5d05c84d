"""What a gateway says of itself to whoever watches it. Values only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vitals:
    tasks: int
    #: Requests at replicas, counted, and those under way at all.
    in_flight: int
    #: Of limited keys.
    reservations: int
    queued: int

    @property
    def is_idle(self) -> bool:
        return not (self.in_flight or self.reservations or self.queued)
