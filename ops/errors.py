"""What can go wrong between the operator and the cluster.

OpsError
├── ClusterMissing      no Ray cluster runs here
├── ControllerMissing   a cluster runs, and no Controller answers on it
├── LedgerRefused       the ledger did not do what it was asked
├── NoCompletion        the fleet is up, and the gateway gives no completion
├── OtherToken          the cluster was made with another token than this machine has
├── NodeInUse           a node that is to go still holds a replica
├── HubFailed           Hugging Face's hub does not give what was asked for
├── WeightsFailed       a checkpoint cannot be brought to a disk, or is not known
├── EngineUnmeasurable  an engine does not answer, or not in a way that can be timed
├── NothingToMeasure    a benchmark has nobody to ask
├── LoadToolFailed      the load tool of a benchmark is not there, or gave no result
├── BaselineUnusable    a saved benchmark cannot be read, or was of another load
├── EndpointSilent      nobody answers at an endpoint, or nobody that has models
├── EndpointRefused     an endpoint answered, and said no
│   ├── KeyUnknown
│   └── NoSuchModel
├── NoSuchReplica       no process runs for that name
├── KeyMissing          no key was given, and none lies here
├── AnswerCut           an answer began and did not end
├── PlotsMissing        matplotlib is not installed
├── PlanRefused         a fleet that the dashboard was given is not made to run by it
│   ├── PlanStale           something else runs than when its plan was shown
│   ├── FleetUnknown        it is not among those that ran
│   └── CommandNeeded       `flotilla deploy` can do it, and the dashboard cannot
├── AdvisoriesUnknown   nobody could be asked for holes in what is locked
└── FileNotWritten      a file that a command should write is there already, or cannot be written
"""

from collections.abc import Sequence
from pathlib import Path

from cluster.problem import nearest

#: Of a list that is shown in an error.
SHOWN_NAMES = 12


class OpsError(Exception):
    """Its text is for the operator: what is wrong and what to do."""


class ClusterMissing(OpsError):
    """No Ray cluster runs here."""

    def __init__(self) -> None:
        super().__init__("no Ray cluster is running here: run `make up`")


class ControllerMissing(OpsError):
    """A cluster runs, and no Controller answers on it."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"no Controller answers ({cause}): run `flotilla deploy FLEET`")


class LedgerRefused(OpsError):
    """The ledger did not do what it was asked; nothing was changed."""


class NoCompletion(OpsError):
    """The fleet is up, and the gateway gives no completion."""

    def __init__(self, base_url: str, cause: str) -> None:
        super().__init__(f"no completion from {base_url}: {cause}")


class OtherToken(OpsError):
    """The cluster was made with another token than this machine has."""

    def __init__(self, head: str, path: Path) -> None:
        super().__init__(
            f"{head} has another token than {path} here: it belongs to a cluster that was brought "
            f"up from elsewhere; go on there, or move {path} away to take the head's"
        )


class NodeInUse(OpsError):
    """A node that is to go still holds a replica."""

    def __init__(self, node: str, replica: str) -> None:
        super().__init__(
            f"{node} is not in the inventory any more and still holds {replica}: move it first "
            "with `flotilla deploy FLEET --inventory FILE`; nothing was changed"
        )


class HubFailed(OpsError):
    """Hugging Face's hub does not give what was asked for."""


class WeightsFailed(OpsError):
    """A checkpoint cannot be brought to a disk, or is not known."""


class EngineUnmeasurable(OpsError):
    """An engine does not answer, or not in a way that can be timed."""


class NothingToMeasure(OpsError):
    """A benchmark has nobody to ask."""


class LoadToolFailed(OpsError):
    """The load tool of a benchmark is not there, or gave no result."""


class BaselineUnusable(OpsError):
    """A saved benchmark cannot be read, or was of another load."""

    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(f"{path} {cause}")


class EndpointSilent(OpsError):
    """Nobody answers at an endpoint, or nobody that has models."""

    def __init__(self, base_url: str, cause: str) -> None:
        super().__init__(
            f"no models from {base_url} ({cause}): `flotilla status` says what runs, "
            "--url names another endpoint"
        )


class EndpointRefused(OpsError):
    """An endpoint answered, and said no."""

    def __init__(self, message: str, code: str | None) -> None:
        super().__init__(message)
        self.code = code


class KeyUnknown(EndpointRefused):
    """It does not know the key."""

    def __init__(self, base_url: str) -> None:
        super().__init__(
            f"{base_url} does not take this key: `flotilla keys create NAME` makes one; "
            "put it into OPENAI_API_KEY",
            "invalid_api_key",
        )


class NoSuchModel(EndpointRefused):
    """It has no such model for this key, or none at all."""

    def __init__(self, model: str | None, names: Sequence[str]) -> None:
        hint = nearest(model, names) if model else ""
        known = f"there are {', '.join(names[:SHOWN_NAMES])}" if names else "it has none"
        super().__init__(f"no model {model or 'to ask'} for this key{hint} ({known})", None)


class NoSuchReplica(OpsError):
    """No process runs for that name."""

    def __init__(self, name: str, known: Sequence[str], *, has_none: bool) -> None:
        if has_none:
            super().__init__(f"{name} has no process now: `flotilla events` says why")
        else:
            hint = nearest(name, known)
            there = ", ".join(known[:SHOWN_NAMES]) or "nothing is deployed"
            super().__init__(f"{name} is unknown{hint} ({there})")


class KeyMissing(OpsError):
    """No key was given, and none lies here."""

    def __init__(self) -> None:
        super().__init__(
            "no key: `flotilla keys create NAME` on the head makes one; put it into OPENAI_API_KEY"
        )


class AnswerCut(OpsError):
    """An answer began and did not end."""


class PlotsMissing(OpsError):
    """matplotlib is not installed."""

    def __init__(self) -> None:
        super().__init__("--plots needs matplotlib: `pip install 'flotilla[plots]'`")


class PlanRefused(OpsError):
    """A fleet that the dashboard was given is not made to run by it; nothing was changed."""


class PlanStale(PlanRefused):
    """Something else runs than when its plan was shown."""

    def __init__(self) -> None:
        super().__init__("something else runs by now than when this plan was shown: show it again")


class FleetUnknown(PlanRefused):
    """It is not among those that ran."""

    def __init__(self) -> None:
        super().__init__("this fleet is not among the last ones any more: load the page again")


class CommandNeeded(PlanRefused):
    """`flotilla deploy` can do it, and the dashboard cannot."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}: run `flotilla deploy FLEET` on the head")


class AdvisoriesUnknown(OpsError):
    """Nobody could be asked for holes in what is locked."""


class FileNotWritten(OpsError):
    """A file that a command should write is there already, or cannot be written."""

    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(f"{path} {cause}")
