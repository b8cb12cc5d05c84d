"""An inventory as it was found somewhere, before our rules were held against it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.problem import Path


@dataclass(frozen=True, slots=True)
class Draft:
    """What an inventory file would say, and what its reader should know of how it was found."""

    value: Mapping[str, Any]
    #: Where in the source each part stands, as far as the source has lines.
    lines: Mapping[Path, int]
    #: Each a line.
    notes: tuple[str, ...]
