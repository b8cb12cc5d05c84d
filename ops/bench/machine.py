"""What the figures were taken on, in words."""

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    cpu: str
    cores: int
    kernel: str
    python: str
    taken_at: str

    @property
    def words(self) -> str:
        """How a section of results begins."""
        return (
            f"{self.taken_at}, {self.cpu}, {self.cores} cores, Linux {self.kernel}, "
            f"Python {self.python}."
        )


def describe() -> Machine:
    return Machine(
        cpu=cpu_model(Path("/proc/cpuinfo").read_text()),
        cores=os.cpu_count() or 1,
        kernel=platform.release(),
        python=platform.python_version(),
        taken_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def cpu_model(cpuinfo: str) -> str:
    """The processor's name from the text of /proc/cpuinfo."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
