"""One request on its way through the simulated gateways. Decides nothing."""

from contextlib import ExitStack
from dataclasses import dataclass, field

from deployments.simulation.trace import Arrival
from serving.fairness.claim import Claim
from serving.routing.retry import Attempts
from serving.routing.route import Choice
from serving.routing.table import Flight


@dataclass(slots=True, eq=False)
class Request:
    """From its arrival to its ending."""

    arrival: Arrival
    replica_set: str
    attempts: Attempts = field(default_factory=Attempts)
    #: For the first replica of its model.
    has_waited: bool = False
    #: From its turn on.
    claim: Claim | None = None
    has_begun: bool = False
    #: Once it is at a replica.
    choice: Choice | None = None
    flight: Flight | None = None
    #: Ends the flight.
    landing: ExitStack = field(default_factory=ExitStack)

    def starts(self, claim: Claim) -> None:
        """Its turn has come, once more after a replica was lost."""
        self.claim, self.has_begun = claim, False
