"""What can go wrong between the operator and the cluster.

OpsError
├── ClusterMissing      no Ray cluster runs here
├── ControllerMissing   a cluster runs, and no Controller answers on it
├── AnotherCommand      one that changes what runs is at work on this machine
├── NoCompletion        the fleet is up, and the gateway gives no completion
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


class AnotherCommand(OpsError):
    """One that changes what runs is at work on this machine."""

    def __init__(self) -> None:
        super().__init__("another `flotilla up`, `down` or `deploy` is at work here: wait for it")


class NoCompletion(OpsError):
    """The fleet is up, and the gateway gives no completion."""

    def __init__(self, base_url: str, cause: str) -> None:
        super().__init__(f"no completion from {base_url}: {cause}")


class FileNotWritten(OpsError):
    """A file that a command should write is there already, or cannot be written."""

    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(f"{path} {cause}")
