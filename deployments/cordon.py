"""The nodes that take nothing new. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from deployments.running import Running


@dataclass(frozen=True, slots=True)
class Cordon:
    """Nothing is placed anew on its nodes; what stays is not disturbed."""

    #: Why, by the address of the node.
    why: Mapping[str, str] = field(default_factory=dict)
    #: The replicas that may stay there.
    staying: frozenset[str] = frozenset()

    def notes(self, names: Mapping[str, str]) -> Iterator[str]:
        """What an operator has to know; `names` of the nodes by address."""
        for address, why in self.why.items():
            if address in names:
                yield f"{names[address]} is {why}: nothing starts there"

    def displaced(self, running: Mapping[str, Running]) -> frozenset[str]:
        """The replicas that have to go from where they are."""
        return frozenset(
            name
            for name, each in running.items()
            if name not in self.staying and any(at in self.why for at in each.addresses)
        )


NO_CORDON = Cordon()
