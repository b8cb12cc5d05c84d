"""One writer at a time changes what runs: two would undo each other's work. Commands of this
machine and the Controller, which runs on it, take the same lock.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from deployments.errors import AnotherWriter
from serving.keystore import home

#: The Controller lets go after a look, which takes a second or two; a command does not.
PATIENCE_S = 15.0
_POLL_S = 0.05


@contextmanager
def alone(patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Raises AnotherWriter while another process is inside. The kernel lets go when one dies."""
    deadline_s = time.monotonic() + patience_s
    with (home() / "lock").open("w") as file:
        while not _taken(file):
            if time.monotonic() >= deadline_s:
                raise AnotherWriter
            time.sleep(_POLL_S)
        yield


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
