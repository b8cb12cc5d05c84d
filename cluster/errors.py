"""What can go wrong with machines.

ClusterError
├── PrerequisiteMissing   something the user must provide first; the message says the fix
├── PortInUse             another program has a port that Ray or a gateway needs
└── RayFailed             Ray did not start, or did not stop
"""


class ClusterError(Exception):
    """A machine cannot be used as asked; the message is one sentence with the fix."""


class PrerequisiteMissing(ClusterError):
    """Something the user must provide first."""


class PortInUse(ClusterError):
    """Another program has a port that is needed."""


class RayFailed(ClusterError):
    """Ray did not start, or did not stop."""
