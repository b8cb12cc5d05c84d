"""What can go wrong with a replica.

ReplicaError
├── GangFailed       a stage never joined, or was lost
├── EngineFailed     vLLM did not start, or made no token
├── WeightsMissing   a stage's node does not have the model
└── RegistryUnreachable   no Controller answered within the start deadline
"""


class ReplicaError(Exception):
    """The replica cannot serve; Serve replaces it as a whole."""


class GangFailed(ReplicaError):
    """A stage never joined, or was lost."""


class EngineFailed(ReplicaError):
    """vLLM did not start, or made no token when asked for one."""


class WeightsMissing(ReplicaError):
    """A stage's node does not have the model; the message names where it was looked for."""


class RegistryUnreachable(ReplicaError):
    """No Controller answered within the start deadline."""
