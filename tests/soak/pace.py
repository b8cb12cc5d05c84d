"""How hard a soak is: the one place that says what is asked, and what breaks how often. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    #: Clients come for so long, at random moments.
    seconds: float
    requests_per_s: float
    #: Between the beginnings of two faults, in the mean.
    fault_every_s: float
    #: The shortest and the longest that a fault lasts; a process that was killed is back after it.
    fault_lasts_s: tuple[float, float]
    #: Nothing breaks before this, so that there is something to compare with.
    calm_s: float
    #: Nothing breaks in the last part.
    rest_s: float
    sample_every_s: float
    #: Each kind of fault comes no more often; None: until the time is over.
    rounds: int | None = None
    #: The first gateway is never struck: what it keeps is what is looked at.
    gateways: int = 3
    replicas: int = 4
    #: Requests that a replica runs at once.
    most_running: int = 6


def full(minutes: float) -> Pace:
    """About a third of a core."""
    return Pace(
        seconds=60 * minutes,
        requests_per_s=20.0,
        fault_every_s=9.0,
        fault_lasts_s=(1.0, 8.0),
        calm_s=10.0,
        rest_s=15.0,
        sample_every_s=5.0,
    )


#: Every kind of fault once.
SHORT = Pace(
    seconds=12.0,
    requests_per_s=30.0,
    fault_every_s=0.6,
    fault_lasts_s=(0.2, 0.8),
    calm_s=1.0,
    rest_s=2.0,
    sample_every_s=1.0,
    gateways=2,
    replicas=3,
    rounds=1,
)
