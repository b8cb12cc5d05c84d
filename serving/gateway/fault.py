"""A fault of ours in words for the log: what was raised and where, never what it was about.

An exception's own text may quote a prompt or a key, so it is left out.
"""

import traceback
from pathlib import PurePath


def where(error: BaseException) -> str:
    """The type, and the way to it, innermost first."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    way = " < ".join(f"{PurePath(f.filename).name}:{f.lineno} {f.name}" for f in frames)
    return f"{type(error).__name__} at {way}"
