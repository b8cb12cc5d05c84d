"""What this machine must have before anything is started on it, and how many slots its memory
carries.
"""

import platform
import shutil
from pathlib import Path

from cluster.accelerator import GIB
from cluster.errors import PrerequisiteMissing

#: A replica of one worker: about 0.7 GiB, its engine 1.2 GiB more (measured, vLLM 0.32.0), and half
#: a GiB for a small model and its KV cache.
SLOT_BYTES = 5 * GIB // 2
MAX_SLOTS = 16
#: What torch looks for.
COMPILERS = ("g++", "clang++", "c++")
#: vLLM's queues between processes: two segments of some MiB for each rank.
SHARED_MEMORY_BYTES = GIB // 4


def require_machine(memory_bytes: int, *, compiles: bool = False) -> None:
    """Raises PrerequisiteMissing naming everything that is missing, with the fix."""
    missing = []
    if platform.system() != "Linux":
        missing.append("Linux: vLLM's CPU build runs nowhere else")
    elif available_memory_bytes() < memory_bytes:
        missing.append(
            f"memory: about {memory_bytes / GIB:.1f} GiB are needed, "
            f"{available_memory_bytes() / GIB:.1f} GiB are free; "
            "stop other programs or serve fewer replicas"
        )
    shared = Path("/dev/shm")  # noqa: S108 - asked for its size
    if shared.exists() and shutil.disk_usage(shared).free < SHARED_MEMORY_BYTES:
        missing.append("shared memory: 256 MiB free in /dev/shm (in a container: --shm-size=1g)")
    if compiles and not any(map(shutil.which, COMPILERS)):
        missing.append(
            "a C++ compiler: vLLM compiles models on CPU unless `enforce_eager: true` is set "
            "(on Debian and Ubuntu: apt-get install g++)"
        )
    if missing:
        raise PrerequisiteMissing("this machine lacks " + "; ".join(missing))


def slots_of_this_machine() -> int:
    """Logical accelerators for CPU replicas: what memory carries, not what cores there are."""
    return max(1, min(MAX_SLOTS, available_memory_bytes() // SLOT_BYTES))


def available_memory_bytes() -> int:
    """What the kernel says programs can still have."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise PrerequisiteMissing("this machine does not say how much memory is free")
