"""One command at a time changes what runs from this machine: two would undo each other's work."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from ops.errors import AnotherCommand
from serving.keystore import home


@contextmanager
def alone() -> Iterator[None]:
    """Raises AnotherCommand while another process is inside. The kernel lets go when one dies."""
    with (home() / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            raise AnotherCommand from held
        yield
