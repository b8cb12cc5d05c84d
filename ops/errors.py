"""What can go wrong between the operator and the cluster.

OpsError
├── ClusterMissing      no Ray cluster runs here
├── ControllerMissing   a cluster runs, and no Controller answers on it
├── AnotherCommand      one that changes what runs is at work on this machine
├── NoSlots             the fleet needs more accelerators than this machine has
└── NoCompletion        the fleet is up, and the gateway gives no completion
"""

from collections.abc import Mapping


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


class NoSlots(OpsError):
    """The fleet needs more accelerators than this machine has."""

    def __init__(self, wanted: Mapping[str, int], slots: int) -> None:
        sums = " + ".join(f"{count} ({name})" for name, count in wanted.items())
        super().__init__(
            f"the fleet needs {sums} = {sum(wanted.values())} slots, this machine has {slots}; "
            "serve fewer replicas or smaller shapes, or free memory (1.5 GiB a slot)"
        )


class NoCompletion(OpsError):
    """The fleet is up, and the gateway gives no completion."""

    def __init__(self, base_url: str, cause: str) -> None:
        super().__init__(f"no completion from {base_url}: {cause}")
