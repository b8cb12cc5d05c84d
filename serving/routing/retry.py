"""Whether a request may be sent once more. faults.md, rule P.

Before the first byte only: two more replicas when none took it, one more when a replica died or
hung with it, all within a share of what is in flight, so that a retry storm cannot multiply the
load. The share is of the requests that do not retry: 20 % of all, retries among them, would be a
quarter more load. A refused connect is no load and takes nothing of the share: requests that have
lost their replica hold it for as long as they generate elsewhere, and whoever probes the dead one
meanwhile must not be refused for that.
"""

from dataclasses import dataclass

NEVER_TAKEN_EXTRA = 2
DIED_WITH_IT_EXTRA = 1
BUDGET_SHARE = 0.2
BUDGET_FLOOR = 3


@dataclass(slots=True)
class Budget:
    """Retries of one gateway that are under way, against its requests in flight."""

    in_flight: int = 0
    retrying: int = 0

    def take(self) -> bool:
        """Counts one more retrying request if that is within the share."""
        self.retrying += 1
        if self.holds():
            return True
        self.retrying -= 1
        return False

    def holds(self) -> bool:
        """Whether those that are retrying may go on, now that others have ended."""
        first_tries = self.in_flight - self.retrying
        return self.retrying <= max(BUDGET_FLOOR, BUDGET_SHARE * first_tries)


@dataclass(slots=True)
class Attempts:
    """What one request has tried."""

    tried: tuple[str, ...] = ()
    never_taken: int = 0
    died_with_it: int = 0

    def failed(self, replica_id: str, was_taken: bool) -> None:
        self.tried += (replica_id,)
        if was_taken:
            self.died_with_it += 1
        else:
            self.never_taken += 1

    def may_retry(self) -> bool:
        return self.died_with_it <= DIED_WITH_IT_EXTRA and self.never_taken <= NEVER_TAKEN_EXTRA
