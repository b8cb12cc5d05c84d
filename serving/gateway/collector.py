"""Python's cycle collector in a gateway's process. It decides how seldom it looks, never what goes.

A request leaves no cycles: what it held is freed in the moment it ends. So the collector, which by
default looks after every 700 allocations and now and then at the whole process, finds nothing and
takes a tenth of the processor. It stays on for what fails in a cycle, an exception's traceback.
"""

import gc

#: Young objects more than there were, which are a few MiB at most.
YOUNG = 20_000
#: Looks at the young ones for each at the middle-aged, and of these for each at the old.
OLDER = 20


def calm() -> None:
    """Call it once a gateway is built: what it is made of stays, and is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLDER)
