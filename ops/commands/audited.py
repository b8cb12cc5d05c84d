"""Around a command that changes what runs: the audit is told of it, or the operator why not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ops import act_journal


@contextmanager
def audited(command: str, path: Path) -> Iterator[act_journal.Note]:
    """Inside `deployments.lock.alone`."""
    try:
        with act_journal.kept(command, path) as note:
            yield note
    finally:
        why = act_journal.tell()
        if why is not None:
            said = f"flotilla: the audit is told by the next deploy, now it cannot be: {why}"
            click.echo(said, err=True)
