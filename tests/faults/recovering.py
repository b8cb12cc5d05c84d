"""How long it takes until all is well again, noted for `ops/reliability.md`."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: What pytest keeps beside the outcome of a test: a name and a value.
Note = Callable[[str, object], None]


@contextmanager
def recovering(note: Note) -> Iterator[None]:
    """From the fault, or from its end where nothing can recover before that, to the block's end."""
    began_s = time.monotonic()
    yield
    note("recovery_s", time.monotonic() - began_s)
