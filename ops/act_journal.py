"""What operators do to the cluster itself, kept on this machine until the ledger's audit has it.

Rules
- An act is written down before it begins: one that is killed on the way is known too.
- It is told when it is over. What cannot be told, because nobody is there to hear it, is told by
  the next command that can: a first deploy begins without a ledger, and `down` ends without one.
- Nobody but the holder of `deployments.lock` writes here.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from deployments.errors import DeploymentError, FileInvalid
from deployments.ledger.acts import ChangeFleet
from ops import ledger_client
from ops.errors import OpsError
from serving.keystore import home, write_private

FILE = "untold_acts.json"
DONE = "done"
#: As long as nobody says otherwise.
CUT_SHORT = "cut short"
_OUTCOME_CHARS = 500
_acts = msgspec.json.Decoder(list[ChangeFleet])


@dataclass(slots=True)
class Note:
    """What becomes of an act while it is under way."""

    steps: list[str] = field(default_factory=list)
    #: None where there was nothing to do, so that it is no act.
    outcome: str | None = DONE


@contextmanager
def kept(command: str, path: Path | None) -> Iterator[Note]:
    """Around an act; what was wrong with the operator's file, so that nothing began, is no act."""
    before, note = _untold(), Note()
    begun = ChangeFleet(command, _shown(path), _digest(path), int(time.time()), (), CUT_SHORT)
    _keep([*before, begun])
    try:
        yield note
    except FileInvalid:
        _keep(before)
        raise
    except BaseException as error:
        _keep([*before, _ended(begun, note, f"failed: {_first_line(error)}")])
        raise
    _keep(before if note.outcome is None else [*before, _ended(begun, note, note.outcome)])


def tell() -> str | None:
    """Brings the audit up to date; why not, where that cannot be."""
    untold = _untold()
    while untold:
        try:
            ledger_client.perform(untold[0])
        except (DeploymentError, OpsError) as error:
            return _first_line(error)
        untold.pop(0)
        _keep(untold)
    return None


def _ended(begun: ChangeFleet, note: Note, outcome: str) -> ChangeFleet:
    return replace(begun, steps=tuple(note.steps), outcome=outcome[:_OUTCOME_CHARS])


def _untold() -> list[ChangeFleet]:
    path = home() / FILE
    if not path.exists():
        return []
    try:
        return _acts.decode(path.read_bytes())
    except msgspec.MsgspecError as error:
        raise OpsError(f"{path} is not ours or damaged: look at it, then move it away") from error


def _keep(acts: list[ChangeFleet]) -> None:
    path = home() / FILE
    if acts:
        write_private(path, msgspec.json.encode(acts).decode())
    else:
        path.unlink(missing_ok=True)


def _shown(path: Path | None) -> str:
    return "this machine" if path is None else str(path.absolute())


def _digest(path: Path | None) -> str:
    """Empty where there is nothing to read."""
    if path is None or not path.is_file():
        return ""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
