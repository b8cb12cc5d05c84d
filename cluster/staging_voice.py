"""What the staging script says: lines of JSON, and nothing else on stdout.

It runs on nodes too, where Flotilla may never have been: standard library only, Python 3.8 and
later, and what is sent along with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Iterator

from cluster.checkpoint_folder import Busy, NotPlain
from cluster.filling import Tally
from cluster.manifest import Manifest, ManifestInvalid

PROGRESS_PERIOD_S = 0.5


class Refused(Exception):
    """Nothing can be staged here; the texts are a line each."""

    def __init__(self, cause: str, fix: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.fix = fix


class Unfit(Exception):
    """One checkpoint cannot be staged; the texts are a line each."""

    def __init__(self, cause: str, fix: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.fix = fix


@contextlib.contextmanager
def told(source: str, fix: str = "what is done is kept: run it again") -> Iterator[None]:
    """Says why a checkpoint failed, and goes on; `fix` is for what the system refuses."""
    try:
        yield
    except Unfit as unfit:
        say("failed", source=source, cause=unfit.cause, fix=unfit.fix)
    except Busy as busy:
        say("failed", source=source, cause=str(busy), fix="wait for it")
    except (NotPlain, ManifestInvalid) as error:
        say("failed", source=source, cause=str(error), fix="pull it again")
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        cause = f"{error.strerror or type(error).__name__}{where}"
        say("failed", source=source, cause=cause, fix=fix)


@contextlib.contextmanager
def progress(manifest: Manifest, tally: Tally, work_per_byte: int) -> Iterator[None]:
    """Tells as long as something moves."""
    done = threading.Event()
    size = manifest.size_bytes

    def tell() -> None:
        told = -1
        while not done.wait(PROGRESS_PERIOD_S):
            now = min(tally.done_bytes // work_per_byte, size)
            if now != told:
                told = now
                say("progress", source=manifest.source, done_bytes=now, total_bytes=size)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


_speaking = threading.Lock()


def say(event: str, **values: object) -> None:
    """One line; where nobody listens any more the process ends."""
    line = json.dumps({"event": event, **values}) + "\n"
    with _speaking:
        try:
            sys.stdout.write(line)
            sys.stdout.flush()
        except OSError:
            os._exit(1)  # threads are in the middle of files, and the next run goes on from there
