"""What clients ask of one model at one moment, over all its gateways and replicas. Pure."""

from dataclasses import dataclass

#: No cluster has more of anything that is counted here.
MOST = 1e12


@dataclass(frozen=True, slots=True)
class Demand:
    """One look at one model; whoever cannot look has None instead, never zeros."""

    #: Replicas that take requests.
    ready: int = 0
    #: Requests that engines work on, and that wait inside of them.
    running: int = 0
    waiting: int = 0
    #: Requests that wait at gateways since no replica could take them.
    queued: int = 0
    #: Of all these requests: prompts, and what was written so far.
    tokens_in_flight: int = 0
    #: Mean share of the KV cache that is in use, over the replicas that are ready.
    kv_use: float = 0.0
    arrivals_per_s: float = 0.0
    #: 90th percentile of the requests since the last looks; None when there was none.
    first_token_s: float | None = None

    @property
    def is_sound(self) -> bool:
        """Whether these can be the figures of anything."""
        counts = (self.ready, self.running, self.waiting, self.queued, self.tokens_in_flight)
        seconds = 0.0 if self.first_token_s is None else self.first_token_s
        figures = (*counts, self.kv_use, self.arrivals_per_s, seconds)
        return all(0 <= each <= MOST for each in figures) and self.kv_use <= 1

    @property
    def requests(self) -> int:
        """All that somebody waits for."""
        return self.running + self.waiting + self.queued

    @property
    def is_idle(self) -> bool:
        return not self.requests and not self.arrivals_per_s
