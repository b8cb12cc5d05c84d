"""When a report was made, and of what."""

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Made:
    #: In UTC.
    day: str
    #: Of the tree that ran, and whether it had changes.
    commit: str


def made_now(root: Path) -> Made:
    """Before the first process starts: the tree may change while they run."""
    return Made(f"{datetime.now(UTC):%Y-%m-%d}", commit_of(root))


def commit_of(root: Path) -> str:
    """Its short hash, and whether a file that it has was changed since."""
    tell = ("git", "describe", "--always", "--exclude=*", "--dirty=, with changes")
    try:
        told = subprocess.run(tell, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # a copy without its history
    return told.stdout.strip()
