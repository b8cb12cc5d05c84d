"""Acts that are done without the ledger, such as a deploy: notes in a folder of the head, written
by whoever does them and taken into the audit by the Controller.

Rules
- A note is there before its act begins (`.begun`), and says what came of it when it is over
  (`.json`). One that a killed command has left is ended by the next command, as cut short.
- Nobody but the holder of `deployments.lock` begins or ends notes; the Controller takes what has
  ended. So a deploy waits for no ledger: a first one begins without it, `down` ends without it.
- A note goes when the audit has it.
"""

import hashlib
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from deployments.errors import FileInvalid
from deployments.ledger.acts import ChangeFleet
from serving.keystore import write_private

FOLDER = "acts"
DONE = "done"
#: As long as nobody says otherwise.
CUT_SHORT = "cut short"
_OUTCOME_CHARS = 500
#: Taken in one transaction.
_MOST = 100

_log = logging.getLogger(__name__)


class Noted(msgspec.Struct, frozen=True):
    """What a file holds."""

    who: str
    act: ChangeFleet


@dataclass(slots=True)
class Note:
    """What becomes of an act while it is under way."""

    steps: list[str] = field(default_factory=list)
    #: None where there was nothing to do, so that it is no act.
    outcome: str | None = DONE


@dataclass(frozen=True, slots=True)
class Ended:
    """A note whose act is over, and where it is."""

    path: Path
    noted: Noted


_decoder = msgspec.json.Decoder(Noted)


# Whoever does it
def kept(home: Path, who: str, command: str, path: Path | None) -> AbstractContextManager[Note]:
    """Around what a command does with a file."""
    return noted(home, who, begun(command, _shown(path), _digest(path)))


def begun(command: str, subject: str, digest: str) -> ChangeFleet:
    """An act that nobody has ended yet; `subject` is a file, or what it was that had none."""
    return ChangeFleet(command, subject, digest, int(time.time()), (), CUT_SHORT)


@contextmanager
def noted(home: Path, who: str, act: ChangeFleet) -> Iterator[Note]:
    """Around an act; what is wrong with the operator's file, so that nothing begins, is none."""
    folder, note = _folder(home), Note()
    file = folder / f"{time.time_ns()}.begun"
    _write(file, Noted(who, act))
    try:
        yield note
    except FileInvalid:
        file.unlink()
        raise
    except BaseException as error:
        _end(file, who, act, replace(note, outcome=f"failed: {_first_line(error)}"))
        raise
    _end(file, who, act, note)


def _folder(home: Path) -> Path:
    """Without anything that has begun: the lock is ours, so whoever began it is gone."""
    folder = home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    for left in folder.glob("*.begun"):
        left.rename(left.with_suffix(".json"))
    return folder


def _end(file: Path, who: str, act: ChangeFleet, note: Note) -> None:
    if note.outcome is None:
        file.unlink()
        return
    outcome = note.outcome[:_OUTCOME_CHARS]
    _write(file, Noted(who, replace(act, steps=tuple(note.steps), outcome=outcome)))
    file.rename(file.with_suffix(".json"))


def _write(file: Path, noted: Noted) -> None:
    write_private(file, msgspec.json.encode(noted).decode())


def _shown(path: Path | None) -> str:
    return "this machine" if path is None else str(path.absolute())


def _digest(path: Path | None) -> str:
    """Empty where there is nothing to read."""
    if path is None or not path.is_file():
        return ""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


# Whoever keeps the audit
def ended(home: Path) -> list[Ended]:
    """The oldest that wait, oldest first; one that cannot be read is put aside."""
    files = sorted((home / FOLDER).glob("*.json"))[:_MOST]
    return [Ended(file, noted) for file in files if (noted := _read(file)) is not None]


def _read(file: Path) -> Noted | None:
    try:
        return _decoder.decode(file.read_bytes())
    except msgspec.MsgspecError as error:
        _log.error("%s is no note of an act, and put aside: %s", file, error)
        file.rename(file.with_suffix(".damaged"))
        return None


def forget(taken: Iterable[Ended]) -> None:
    """When the audit has them."""
    for each in taken:
        each.path.unlink()
