"""What can go wrong with machines.

ClusterError
├── PrerequisiteMissing   something the user must provide first; the message says the fix
├── PortInUse             another program has a port that Ray or a gateway needs
├── RayFailed             Ray did not start, or did not stop
├── CheckpointUnreadable  a model's files are missing, broken or too large to be true
├── ArchitectureUnknown   a config.json says something that the fit check has no formula for
├── SettingsUnknown       an engine argument says something that the fit check cannot read
├── NodeFailed            something went wrong on one node of the inventory
│   ├── NodeUnreachable   it cannot be logged in to, or does not answer in time
│   ├── InstallFailed     Flotilla could not be brought there, installed, or started
│   ├── FenceFailed       its fence could not be raised, read or lowered
│   └── StagingFailed     weights could not be staged there, or looked at
├── PartUnread            a part of what a node should say of itself is missing
├── CloudUnreachable      Lambda's Cloud API gave no answer, or one that cannot be read
└── CloudRefused          it answered, and said no
"""


class ClusterError(Exception):
    """A machine cannot be used as asked; the message is one sentence with the fix."""


class PrerequisiteMissing(ClusterError):
    """Something the user must provide first."""


class PortInUse(ClusterError):
    """Another program has a port that is needed."""


class RayFailed(ClusterError):
    """Ray did not start, or did not stop."""


class CheckpointUnreadable(ClusterError):
    """A model's files are missing or broken; the message names the file."""


class ArchitectureUnknown(ClusterError):
    """There is no formula for what a config.json says; the message names the key."""


class SettingsUnknown(ClusterError):
    """An engine argument cannot be read; the message names it."""


class NodeFailed(ClusterError):
    """Something went wrong on one node; `cause` and `fix` are one line."""

    def __init__(self, node: str, cause: str, fix: str) -> None:
        super().__init__(f"{node}: {cause}" + (f": {fix}" if fix else ""))
        self.node = node
        self.cause = cause
        self.fix = fix


class NodeUnreachable(NodeFailed):
    """A node cannot be logged in to, or does not answer in time."""


class InstallFailed(NodeFailed):
    """Flotilla could not be brought to a node, installed there, or started."""


class FenceFailed(NodeFailed):
    """A node's fence could not be raised, read or lowered."""


class StagingFailed(NodeFailed):
    """Weights could not be staged on a node, or looked at there."""


class PartUnread(ClusterError):
    """A part of what a node should say of itself is missing; the text is why."""


class CloudUnreachable(ClusterError):
    """Lambda's Cloud API gave no answer, or one that cannot be read."""


class CloudRefused(ClusterError):
    """Lambda's Cloud API answered, and said no; `code` is its word for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
