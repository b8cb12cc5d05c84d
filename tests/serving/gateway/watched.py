"""A gateway whose tests see what it took on, and whether all of it has been given back."""

from serving.bounds import Deadlines
from serving.gateway.core import GatewayCore
from serving.gateway.exchange import Exchange
from serving.gateway.job import Job
from serving.limits.account import Hold
from serving.spool import Spool


class WatchedCore(GatewayCore):
    def __init__(self, spool: Spool, deadlines: Deadlines) -> None:
        super().__init__(spool, deadlines)
        #: The ids of requests that it took on.
        self.accepted: list[str] = []
        #: What those of a limited key have reserved.
        self.holds: dict[str, Hold] = {}

    def serve(self, exchange: Exchange) -> None:
        super().serve(exchange)
        if exchange.job is not None:
            self.accepted.append(exchange.id)
            assert isinstance(exchange.job, Job)
            hold = exchange.job._bill._hold
            if hold is not None:
                self.holds[exchange.id] = hold

    @property
    def recorded(self) -> int:
        """Requests whose record was made, wherever it is by now."""
        return sum(each.requests for each in self.counters.counts())

    @property
    def is_at_rest(self) -> bool:
        """Nothing is in flight, nothing waits, and nobody holds a place or a part of a limit."""
        queues = [line.queue for line in self.lines._lines.values()]
        return (
            all(count == 0 for _, count in self.in_flight())
            and (self.budget.in_flight, self.budget.retrying) == (0, 0)
            and all((each.queued, each.tokens_in_flight) == (0, 0) for each in self.meters.report())
            and all((each.running, each.waiting) == (0, 0) for each in queues)
            and all(each.in_flight == 0 for each in self.gate._accounts.values())
        )
