"""Memory that an accelerator needs besides weights and KV cache.

On GPUs an assumption of the model catalogue, inferred and never measured on one: activations, CUDA
graphs and NCCL. On CPU measured, as resident sizes of the processes; what they share of one another
counts in each of them, so it is on the safe side (without: 0.6 and 0.9 GiB).
"""

from cluster.accelerator import GIB, Accelerator
from cluster.architecture import Architecture
from cluster.shape import Shape

GPU_RESERVE_BYTES = int(3.5 * GIB)
LARGE_GPU_RESERVE_BYTES = int(4.5 * GIB)
LARGE_PARAMETERS = 100 * 10**9
#: A worker process of the CPU build, without weights and cache.
CPU_WORKER_BYTES = int(0.7 * GIB)
#: The engine's own processes, which a replica has once; its first stage's slots share them.
CPU_ENGINE_BYTES = int(1.2 * GIB)


def reserve_bytes(architecture: Architecture, shape: Shape, accelerator: Accelerator) -> int:
    """On the fullest accelerator of the replica."""
    if accelerator.is_cpu:
        return CPU_WORKER_BYTES + CPU_ENGINE_BYTES // shape.tensor
    is_large = architecture.parameters > LARGE_PARAMETERS
    return LARGE_GPU_RESERVE_BYTES if is_large else GPU_RESERVE_BYTES
