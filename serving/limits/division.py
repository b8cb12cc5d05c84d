"""Divides one key's limit among gateways by what they want. Pure."""

from collections.abc import Mapping
from typing import TypeVar

#: Of what nobody wants.
EVEN = 0.25

Name = TypeVar("Name")


def divide(capacity: float, wanted: Mapping[Name, float]) -> dict[Name, float]:
    """Nobody gets less than its want while another gets more than its own. What nobody wants goes
    where most is wanted, and a part of it evenly, for whoever is asked next. The parts add up to
    `capacity`.
    """
    parts: dict[Name, float] = {}
    left = capacity
    for place, name in enumerate(sorted(wanted, key=wanted.__getitem__)):
        parts[name] = min(wanted[name], left / (len(wanted) - place))
        left -= parts[name]
    even, total = left / len(parts), sum(parts.values())
    if not total:
        return dict.fromkeys(parts, even)
    # The quotient first: a want may be so small that a product with it rounds to the want itself.
    return {
        name: part + EVEN * even + (1 - EVEN) * left * (part / total)
        for name, part in parts.items()
    }
