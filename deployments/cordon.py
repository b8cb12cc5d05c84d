"""The nodes that take nothing new. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Cordon:
    """Nothing is placed anew on its nodes; what stays is not disturbed."""

    #: Why, by the address of the node.
    why: Mapping[str, str] = field(default_factory=dict)
    #: The replicas that may stay there.
    staying: frozenset[str] = frozenset()


NO_CORDON = Cordon()
