"""What can go wrong between a fleet file and a running fleet.

DeploymentError
├── FileInvalid         a file says something that cannot be; carries every problem found
│   ├── FleetInvalid
│   ├── FleetBlocked        right by itself, but parts of it fit nowhere on the inventory
│   ├── InventoryInvalid
│   ├── CatalogueInvalid
│   ├── CalibrationInvalid
│   ├── TraceInvalid
│   ├── EventInvalid
│   └── SimulationImpossible    a model has no service time, or blocks do not match
├── ServeError
│   ├── ServeUnreachable   nobody answers on the dashboard's port, or not in time
│   └── ServeRefused       Serve answered, and said no
├── LogsUnreadable      Ray's dashboard does not give a process's log
├── AcceleratorsUnreadable  Ray's dashboard does not tell what accelerators do
├── AnotherWriter       one that changes what runs is at work on this machine
└── StepFailed          an application did not come up; says whether the config before is back
"""

from collections.abc import Sequence

from cluster.problem import Problem


class DeploymentError(Exception):
    """Its text is for the operator: what is wrong, and what to do where that is known."""


class FileInvalid(DeploymentError):
    """A file that an operator wrote says something that cannot be."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class FleetInvalid(FileInvalid):
    """The fleet file does."""


class FleetBlocked(FileInvalid):
    """The fleet is right by itself, but parts of it fit nowhere; nothing was started."""


class InventoryInvalid(FileInvalid):
    """The inventory does."""


class CatalogueInvalid(FileInvalid):
    """A file of the catalogue does, which only a change of Flotilla can have brought about."""


class CalibrationInvalid(FileInvalid):
    """A calibration does."""


class TraceInvalid(FileInvalid):
    """A trace does, or holds nothing that could be played."""


class EventInvalid(FileInvalid):
    """An event of a simulation does."""


class SimulationImpossible(FileInvalid):
    """The fleet is right, but parts of it cannot be simulated."""


class ServeError(DeploymentError):
    """Serve's control API did not do what it was asked."""


class ServeUnreachable(ServeError):
    """Nobody answers on the dashboard's port, or not in time."""


class ServeRefused(ServeError):
    """Serve answered, and said no."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"Serve answered {status}: {text}")
        self.status = status


class LogsUnreadable(DeploymentError):
    """Ray's dashboard does not give a process's log."""


class AcceleratorsUnreadable(DeploymentError):
    """Ray's dashboard does not tell what its agents measure of accelerators."""


class AnotherWriter(DeploymentError):
    """One that changes what runs is at work on this machine."""

    def __init__(self) -> None:
        super().__init__("another `flotilla up`, `down` or `deploy` is at work here: wait for it")


class StepFailed(DeploymentError):
    """An application did not come up, or did not go, within its time."""

    def __init__(self, application: str, cause: str, *, is_rolled_back: bool) -> None:
        after = "; what ran before is back" if is_rolled_back else ""
        super().__init__(f"{application}: {cause}{after}")
        self.application = application
        self.cause = cause
        self.is_rolled_back = is_rolled_back
