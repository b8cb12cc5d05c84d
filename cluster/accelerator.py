"""What a worker computes on: the kinds we know by name, and the memory a program sees on each.

Pure. A kind's memory is what the driver leaves to programs, not what the data sheet says; an
inventory that states its own, measured figure is believed before this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass

GIB = 1 << 30
#: A slot of a CPU-only machine; its memory is a share of the machine's, so no table knows it.
CPU_KIND = "cpu"


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One GPU, or one slot of a CPU-only machine."""

    kind: str
    #: What programs can have of it.
    memory_bytes: int

    @property
    def is_cpu(self) -> bool:
        return self.kind == CPU_KIND


#: GiB a program sees. The H100's is the figure that the catalogue's shapes were computed with; the
#: others are remembered from what torch reports, none was measured here.
KNOWN_MEMORY_GIB: Mapping[str, float] = {
    "h100-sxm-80gb": 79.6,
    "h100-pcie-80gb": 79.2,
    "h200-141gb": 139.8,
    "b200-180gb": 178.3,
    "gh200-96gb": 94.5,
    "a100-80gb": 79.2,
    "a100-40gb": 39.4,
    "l40s-48gb": 44.4,
    "a6000-48gb": 47.4,
    "a10-24gb": 22.1,
}


def accelerator(kind: str, memory_gib: float | None = None) -> Accelerator | None:
    """The accelerator of this kind; None when nobody says how much memory it has."""
    known_gib = memory_gib or KNOWN_MEMORY_GIB.get(kind)
    return None if known_gib is None else Accelerator(kind, int(known_gib * GIB))
