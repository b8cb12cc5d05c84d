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
├── PlotsMissing        matplotlib is not installed
└── FileNotWritten      a file that a command should write is there already, or cannot be written
"""

from pathlib import Path


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


class PlotsMissing(OpsError):
    """matplotlib is not installed."""

    def __init__(self) -> None:
        super().__init__("--plots needs matplotlib: `pip install 'flotilla[plots]'`")


class FileNotWritten(OpsError):
    """A file that a command should write is there already, or cannot be written."""

    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(f"{path} {cause}")
