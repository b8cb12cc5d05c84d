"""Python's cycle collector in a gateway's process. It decides what is looked at, never what goes.

A request leaves no cycles: what it held is freed in the moment it ends. What fails may leave one,
an exception with its traceback, and that may hold a whole body: so the collector stays as watchful
as it is by default. But most of what it goes through again and again is what the process is made
of, which took a tenth of the processor and found nothing.
"""

import gc


def calm() -> None:
    """Call it once a gateway is built: what it is made of stays, and is not looked at again."""
    gc.collect()
    gc.freeze()
