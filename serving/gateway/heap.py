"""The memory of a gateway's process: what large bodies took goes back to the system when they end.

The C library takes a large block from the system and gives it back when it is freed. But with each
one it learns that blocks of that size are usual, takes the next from its heap, and keeps twice as
much of that for later: after one body of 10 MiB a gateway would keep 20 MiB for good.
"""

import ctypes

# Of malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
#: From here on a block is the system's own: where the C library begins, before it learns.
LARGE_BYTES = 128 * 1024


def keep_little() -> None:
    """Call it once, early. Does nothing where the C library is another than glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, 2 * LARGE_BYTES)
