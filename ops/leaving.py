"""How a process that has started others ends when it is told to: by an exception, so that every
`finally` on the way stops what it has started.
"""

from types import FrameType


def leave(signum: int, _: FrameType | None) -> None:
    """A handler for a signal. Raises SystemExit with the status that a shell gives it."""
    raise SystemExit(128 + signum)
