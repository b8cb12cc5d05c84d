"""What a gateway counts of each replica set, for whoever decides how many replicas there should be.

On the path of every request, so it is a few additions. Counts only grow, what is in flight goes up
and down: a report that is lost costs nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from serving import histogram
from serving.routing.prefix import BYTES_PER_TOKEN
from serving.snapshot import DemandReport


class Meter:
    """Of one replica set."""

    __slots__ = ("_first_tokens", "arrivals", "queued", "tokens_in_flight")

    def __init__(self) -> None:
        self.arrivals = 0
        self.tokens_in_flight = 0
        #: Requests that wait for a first replica, or for a place at a saturated model.
        self.queued = 0
        self._first_tokens = [0] * histogram.BUCKETS

    def waits(self, body_bytes: int) -> None:
        self.queued += 1
        self.tokens_in_flight += body_bytes // BYTES_PER_TOKEN

    def waited(self, body_bytes: int) -> None:
        """To be called once for each call of `waits`, with the same number."""
        self.queued -= 1
        self.tokens_in_flight -= body_bytes // BYTES_PER_TOKEN

    @contextmanager
    def in_line(self) -> Iterator[None]:
        """While a request that has arrived waits for a place."""
        self.queued += 1
        try:
            yield
        finally:
            self.queued -= 1

    def turned_away(self) -> None:
        """A request that found no place, not even to wait."""
        self.arrivals += 1

    def arrived(self, body_bytes: int) -> None:
        self.arrivals += 1
        self.tokens_in_flight += body_bytes // BYTES_PER_TOKEN

    def ended(self, body_bytes: int) -> None:
        """To be called once for each call of `arrived`, with the same number."""
        self.tokens_in_flight -= body_bytes // BYTES_PER_TOKEN

    def began(self, after_s: float) -> None:
        """The first token of a stream came so long after its request."""
        self._first_tokens[histogram.bucket(after_s)] += 1

    def report(self, replica_set: str) -> DemandReport:
        return DemandReport(
            replica_set=replica_set,
            arrivals=self.arrivals,
            queued=self.queued,
            tokens_in_flight=self.tokens_in_flight,
            first_tokens=tuple(self._first_tokens),
        )


class Meters:
    """Of all that were ever asked for; their number is that of the models of a fleet."""

    def __init__(self) -> None:
        self._by_set: dict[str, Meter] = {}

    def of(self, replica_set: str) -> Meter:
        meter = self._by_set.get(replica_set)
        if meter is None:
            meter = self._by_set[replica_set] = Meter()
        return meter

    def report(self) -> tuple[DemandReport, ...]:
        return tuple(meter.report(name) for name, meter in self._by_set.items())
